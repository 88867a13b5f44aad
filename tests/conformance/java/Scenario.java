import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Kafka's own client through one scenario: prints `name=what came back` lines, which test_java.py compares with what should. */
public class Scenario {
    static final Duration WAIT = Duration.ofSeconds(20);
    static String broker;

    public static void main(String[] arguments) throws Exception {
        broker = arguments[0];
        String topic = arguments[1];
        String group = arguments[2];
        long now = Long.parseLong(arguments[3]);
        try (Admin admin = Admin.create(config(Map.of()))) {
            administer(admin, topic);
            write(topic, now);
            read(admin, topic, group, now);
            finish(admin, topic, group);
        }
    }

    static void administer(Admin admin, String topic) throws Exception {
        NewTopic wanted = new NewTopic(topic, 1, (short) 1).configs(Map.of("retention.ms", "86400000"));
        admin.createTopics(List.of(wanted)).all().get();
        say("exists", refusal(() -> admin.createTopics(List.of(wanted)).all().get()));
        while (!admin.listTopics().names().get().contains(topic)) Thread.sleep(50);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(
            new AlterConfigOp(new ConfigEntry("segment.bytes", "1048576"), AlterConfigOp.OpType.SET),
            new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND)))).all().get();
        String segment = "";
        for (int tries = 0; tries < 100 && !segment.equals("1048576"); tries++) {
            segment = admin.describeConfigs(Set.of(resource)).all().get().get(resource).get("segment.bytes").value();
        }
        var found = admin.describeConfigs(Set.of(resource)).all().get().get(resource);
        say("configs", found.get("retention.ms").value() + " " + segment + " " + found.get("cleanup.policy").value());
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get();
        int partitions = 0;
        for (int tries = 0; tries < 200 && partitions != 2; tries++) {
            partitions = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
        }
        say("partitions", partitions);
        say("nodes", admin.describeCluster().nodes().get().size());
    }

    static void write(String topic, long now) throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            try (var producer = new KafkaProducer<byte[], byte[]>(
                config(Map.of("compression.type", codec, "enable.idempotence", "true", "acks", "all")),
                new ByteArraySerializer(), new ByteArraySerializer())) {
                List<java.util.concurrent.Future<RecordMetadata>> sent = new ArrayList<>();
                for (int n = 0; n < 10; n++) {
                    var record = new ProducerRecord<>(topic, 0, now + n, bytes("key" + n), n == 9 ? null : bytes(codec + n));
                    record.headers().add(new RecordHeader("a", bytes("1"))).add(new RecordHeader("none", null));
                    sent.add(producer.send(record));
                }
                List<Long> offsets = new ArrayList<>();
                for (var each : sent) offsets.add(each.get().offset());
                say("wrote " + codec, offsets.get(0) + " to " + offsets.get(9));
            }
        }
        try (var producer = new KafkaProducer<byte[], byte[]>(
            config(Map.of("max.request.size", 8 << 20)), new ByteArraySerializer(), new ByteArraySerializer())) {
            var large = new ProducerRecord<byte[], byte[]>(topic, 0, bytes("large"), new byte[2 << 20]);
            say("too large", refusal(() -> producer.send(large).get()));
        }
    }

    static void read(Admin admin, String topic, String group, long now) throws Exception {
        TopicPartition place = new TopicPartition(topic, 0);
        Map<String, Object> ours = Map.of("group.id", group, "enable.auto.commit", "false", "auto.offset.reset", "earliest");
        try (var consumer = new KafkaConsumer<>(config(ours), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic));
            List<ConsumerRecord<byte[], byte[]>> records = poll(consumer, 50);
            Map<String, Integer> values = new TreeMap<>();
            int nulls = 0;
            for (var each : records) {
                if (each.value() == null) nulls++;
                else values.merge(text(each.value()).replaceAll("\\d", ""), 1, Integer::sum);
            }
            say("read", records.size() + " " + values + " nulls " + nulls);
            var headers = records.get(0).headers().toArray();
            say("headers", headers[0].key() + "=" + text(headers[0].value()) + " " + headers[1].key() + "=" + headers[1].value());
            consumer.commitSync();
            say("committed", consumer.committed(Set.of(place)).get(place).offset());
            say("by time", consumer.offsetsForTimes(Map.of(place, now + 3)).get(place).offset()
                + " " + consumer.offsetsForTimes(Map.of(place, now + 100_000_000)).get(place));
            say("ends", consumer.beginningOffsets(Set.of(place)).get(place) + " " + consumer.endOffsets(Set.of(place)).get(place));
            say("newest", admin.listOffsets(Map.of(place, OffsetSpec.maxTimestamp())).all().get().get(place).offset());
            var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            say("group", described.groupState() + " " + described.members().size());
        }
        try (var consumer = new KafkaConsumer<>(config(ours), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic));
            while (consumer.assignment().size() < 2) consumer.poll(Duration.ofMillis(50));
            say("resumes at", consumer.position(place));
        }
    }

    static void finish(Admin admin, String topic, String group) throws Exception {
        TopicPartition place = new TopicPartition(topic, 0);
        admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(20))).all().get();
        say("first now", admin.listOffsets(Map.of(place, OffsetSpec.earliest())).all().get().get(place).offset());
        say("group offsets", admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(place).offset());
        admin.deleteConsumerGroups(List.of(group)).all().get();
        say("group gone", refusal(() -> admin.deleteConsumerGroups(List.of(group)).all().get()));
        admin.deleteTopics(List.of(topic)).all().get();
        while (admin.listTopics().names().get().contains(topic)) Thread.sleep(50);
        say("topic gone", refusal(() -> admin.describeTopics(List.of(topic)).allTopicNames().get()));
    }

    static List<ConsumerRecord<byte[], byte[]>> poll(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
        long deadline = System.nanoTime() + WAIT.toNanos();
        while (found.size() < count && System.nanoTime() < deadline) consumer.poll(Duration.ofMillis(100)).forEach(found::add);
        return found;
    }

    interface Attempt {
        void make() throws Exception;
    }

    static String refusal(Attempt attempt) throws Exception {
        try {
            attempt.make();
            return "nothing";
        } catch (ExecutionException refused) {
            return refused.getCause().getClass().getSimpleName();
        }
    }

    static Map<String, Object> config(Map<String, Object> more) {
        Map<String, Object> all = new HashMap<>(more);
        all.put("bootstrap.servers", broker);
        return all;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    static void say(String name, Object value) {
        System.out.println(name + "=" + value);
    }
}
