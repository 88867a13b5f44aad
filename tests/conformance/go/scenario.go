// franz-go, a client in Go without librdkafka, through one scenario: prints `name=what came back` lines, which test_go.py
// compares with what should.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var digits = regexp.MustCompile(`\d`)

func main() {
	broker, topic, group := os.Args[1], os.Args[2], os.Args[3]
	millis, err := strconv.ParseInt(os.Args[4], 10, 64)
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 80*time.Second)
	defer cancel()
	client := connect(broker)
	defer client.Close()
	admin := kadm.NewClient(client)

	administer(ctx, admin, topic)
	write(ctx, broker, topic, time.UnixMilli(millis))
	read(ctx, admin, broker, topic, group, millis)
	finish(ctx, admin, topic, group)
}

func administer(ctx context.Context, admin *kadm.Client, topic string) {
	configs := map[string]*string{"retention.ms": kadm.StringPtr("86400000")}
	_, err := admin.CreateTopic(ctx, 1, 1, configs, topic)
	must(err)
	_, err = admin.CreateTopic(ctx, 1, 1, configs, topic)
	say("exists", refusal(err))

	altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "segment.bytes", Value: kadm.StringPtr("1048576")},
		{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")},
	}, topic)
	must(err)
	must(altered[0].Err)
	// Apache Kafka's nodes learn of a change a little after it was acknowledged.
	found := map[string]string{}
	until(func() bool {
		described, err := admin.DescribeTopicConfigs(ctx, topic)
		must(err)
		for _, config := range described[0].Configs {
			found[config.Key] = config.MaybeValue()
		}
		return found["segment.bytes"] == "1048576"
	})
	say("configs", found["retention.ms"], found["segment.bytes"], found["cleanup.policy"])

	grown, err := admin.UpdatePartitions(ctx, 2, topic)
	must(err)
	must(grown[topic].Err)
	partitions := 0
	until(func() bool {
		listed, err := admin.ListTopics(ctx, topic)
		must(err)
		partitions = len(listed[topic].Partitions)
		return partitions == 2
	})
	say("partitions", partitions)
	brokers, err := admin.ListBrokers(ctx)
	must(err)
	say("nodes", len(brokers))
}

func write(ctx context.Context, broker, topic string, now time.Time) {
	codecs := []struct {
		name  string
		codec kgo.CompressionCodec
	}{
		{"none", kgo.NoCompression()}, {"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()},
		{"lz", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()},
	}
	for _, each := range codecs {
		producer := connect(broker, kgo.ProducerBatchCompression(each.codec), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		records := make([]*kgo.Record, 10)
		for n := range records {
			value := fmt.Appendf(nil, "%s%d", each.name, n)
			if n == 9 {
				value = nil
			}
			records[n] = &kgo.Record{
				Topic: topic, Key: fmt.Appendf(nil, "key%d", n), Value: value, Timestamp: now.Add(time.Duration(n) * time.Millisecond),
				Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "none"}},
			}
		}
		must(producer.ProduceSync(ctx, records...).FirstErr())
		say("wrote "+each.name, records[0].Offset, "to", records[9].Offset)
		producer.Close()
	}
	large := connect(broker, kgo.ProducerBatchMaxBytes(8<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer large.Close()
	say("too large", refusal(large.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: make([]byte, 2<<20)}).FirstErr()))
}

func read(ctx context.Context, admin *kadm.Client, broker, topic, group string, millis int64) {
	first := member(broker, topic, group)
	values, nulls, count := map[string]int{}, 0, 0
	var headers []string
	for count < 50 && ctx.Err() == nil {
		fetches := first.PollFetches(ctx)
		must(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			count++
			if record.Value == nil {
				nulls++
			} else {
				values[digits.ReplaceAllString(string(record.Value), "")]++
			}
			if record.Offset == 0 {
				for _, header := range record.Headers {
					headers = append(headers, fmt.Sprintf("%s=%s null=%t", header.Key, header.Value, header.Value == nil))
				}
			}
		})
	}
	say("read", count, values, "nulls", nulls)
	say("headers", strings.Join(headers, " "))
	must(first.CommitUncommittedOffsets(ctx))
	offsets, err := admin.FetchOffsets(ctx, group)
	must(err)
	say("committed", offset(offsets.Lookup(topic, 0)))

	second := member(broker, topic, group)
	shared := func() bool {
		first.AllowRebalance()
		polled, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		first.PollFetches(polled)
		again, cancelAgain := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancelAgain()
		second.PollFetches(again)
		groups, err := admin.DescribeGroups(ctx, group)
		must(err)
		parts := 0
		for _, each := range groups[group].Members {
			if one, ok := each.Assigned.AsConsumer(); ok && len(one.Topics) == 1 && len(one.Topics[0].Partitions) == 1 {
				parts++
			}
		}
		return groups[group].State == "Stable" && parts == 2
	}
	until(shared)
	groups, err := admin.DescribeGroups(ctx, group)
	must(err)
	say("group", groups[group].State, len(groups[group].Members), groups[group].Protocol)
	first.Close()
	second.Close()

	listed, err := admin.ListOffsetsAfterMilli(ctx, millis+3, topic)
	must(err)
	at, _ := listed.Lookup(topic, 0)
	say("by time", at.Offset)
	starts, err := admin.ListStartOffsets(ctx, topic)
	must(err)
	ends, err := admin.ListEndOffsets(ctx, topic)
	must(err)
	start, _ := starts.Lookup(topic, 0)
	end, _ := ends.Lookup(topic, 0)
	say("ends", start.Offset, end.Offset)
	newest, err := admin.ListMaxTimestampOffsets(ctx, topic)
	must(err)
	latest, _ := newest.Lookup(topic, 0)
	say("newest", latest.Offset)
}

func finish(ctx context.Context, admin *kadm.Client, topic, group string) {
	before := kadm.Offsets{}
	before.Add(kadm.Offset{Topic: topic, Partition: 0, At: 20})
	deleted, err := admin.DeleteRecords(ctx, before)
	must(err)
	low, _ := deleted.Lookup(topic, 0)
	say("first now", low.LowWatermark)
	lags, err := admin.Lag(ctx, group)
	must(err)
	say("lag", lags[group].Lag.Total())
	_, err = admin.DeleteGroup(ctx, group)
	must(err)
	_, err = admin.DeleteGroup(ctx, group)
	say("group gone", refusal(err))
	_, err = admin.DeleteTopic(ctx, topic)
	must(err)
	until(func() bool {
		listed, err := admin.ListTopics(ctx)
		must(err)
		return !listed.Has(topic)
	})
	described, err := admin.DescribeTopicConfigs(ctx, topic)
	must(err)
	say("topic gone", refusal(described[0].Err))
}

func member(broker, topic, group string) *kgo.Client {
	return connect(broker, kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(200*time.Millisecond))
}

func connect(broker string, options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(slices.Concat([]kgo.Opt{kgo.SeedBrokers(broker), kgo.MetadataMinAge(50 * time.Millisecond)}, options)...)
	must(err)
	return client
}

func offset(found kadm.OffsetResponse, _ bool) int64 { return found.At }

// until tries for 30 seconds at most; what is then found is printed and compared.
func until(done func() bool) {
	for deadline := time.Now().Add(30 * time.Second); !done() && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
}

func refusal(err error) string {
	var known *kerr.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return fmt.Sprint(err)
}

func say(name string, found ...any) {
	fmt.Printf("%s=%s", name, fmt.Sprintln(found...))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
