// An alert consumer with kafkajs:
//
//   npm install
//   node consumer.js localhost:9092 payments scam threat
//
// Prints a line for each flag that carries one of the labels (without labels: for each). An offset is committed after the
// work on its flag is done; what was seen before is dropped, and what cannot be read is reported and passed by.
import kafkajs from "kafkajs";
import lz4 from "lz4js";

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
// Flagstream compresses with lz4, which kafkajs leaves to its users.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => Buffer.from(lz4.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
});

const SEEN_MAX = 100_000;
const [broker, group, ...labels] = process.argv.slice(2);
const kafka = new Kafka({ clientId: "flag-consumer", brokers: broker.split(","), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: group, sessionTimeout: 10_000 });
const seen = new Set();

// What your service does about it. It may be called again for the same flag after a crash.
async function act(flag) {
  const { name, score } = flag.labels[0];
  console.log(`${flag.decision.padEnd(7)} ${name} ${score.toFixed(2)} ${flag.entity} ${flag.id}`);
}

await consumer.connect();
await consumer.subscribe({ topic: "flags", fromBeginning: true });
await consumer.run({
  // kafkajs commits what eachMessage has returned from.
  eachMessage: async ({ partition, message }) => {
    let flag;
    try {
      flag = JSON.parse(message.value.toString());
    } catch {
      console.error(`unreadable at ${partition}@${message.offset}`);
      return;
    }
    if (flag?.version !== 1 || seen.has(flag.id)) return;
    if (labels.length === 0 || flag.labels.some(({ name }) => labels.includes(name))) await act(flag);
    seen.add(flag.id);
    // A Set keeps the order of insertion.
    if (seen.size > SEEN_MAX) seen.delete(seen.values().next().value);
  },
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    await consumer.disconnect();
    process.exit(0);
  });
}
