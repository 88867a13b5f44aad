// An alert consumer with franz-go:
//
//	go run . localhost:9092 payments scam threat
//
// Prints a line for each flag that carries one of the labels (without labels: for each). Offsets are committed after the work
// on their flags is done; what was seen before is dropped, and what cannot be read is reported and passed by.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Flag holds the fields used here; docs/reference/flag.schema.json has all of them.
type Flag struct {
	Version  int    `json:"version"`
	ID       string `json:"id"`
	Entity   string `json:"entity"`
	Decision string `json:"decision"`
	Labels   []struct {
		Name     string  `json:"name"`
		Score    float64 `json:"score"`
		Severity string  `json:"severity"`
	} `json:"labels"`
}

const seenMax = 100_000

// window remembers the last seenMax ids.
type window struct {
	ids   map[string]struct{}
	order []string
}

func (w *window) add(id string) {
	w.ids[id] = struct{}{}
	w.order = append(w.order, id)
	if len(w.order) > seenMax {
		delete(w.ids, w.order[0])
		w.order = w.order[1:]
	}
}

// act is what your service does about it. It may be called again for the same flag after a crash.
func act(flag Flag) {
	label := flag.Labels[0]
	fmt.Printf("%-7s %s %.2f %s %s\n", flag.Decision, label.Name, label.Score, flag.Entity, flag.ID)
}

func main() {
	broker, group, labels := os.Args[1], os.Args[2], os.Args[3:]
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(broker, ",")...),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics("flags"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		// Until the commit below, no partition is taken away.
		kgo.BlockRebalanceOnPoll(),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer client.Close()
	seen := window{ids: map[string]struct{}{}}
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, 100)
		fetches.EachRecord(func(record *kgo.Record) {
			var flag Flag
			if json.Unmarshal(record.Value, &flag) != nil || len(flag.Labels) == 0 {
				fmt.Fprintf(os.Stderr, "unreadable at %d@%d\n", record.Partition, record.Offset)
				return
			}
			if _, known := seen.ids[flag.ID]; known || flag.Version != 1 {
				return
			}
			wanted := len(labels) == 0
			for _, label := range flag.Labels {
				wanted = wanted || slices.Contains(labels, label.Name)
			}
			if wanted {
				act(flag)
			}
			seen.add(flag.ID)
		})
		if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "commit:", err)
		}
		client.AllowRebalance()
	}
}
