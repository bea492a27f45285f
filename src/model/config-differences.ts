/** Defaults in which Ottla differs from Kafka 4.3, each with its reason. Topic keys follow. */
export const DEFAULT_DIFFERENCES: Readonly<
  Record<string, { readonly value: string | null; readonly reason: string }>
> = {
  "log.flush.interval.messages": {
    value: "1",
    reason: "here an acknowledged record is on the disks of the ISR, not only in their memory.",
  },
  "min.insync.replicas": {
    value: "2",
    reason: "with 1, an acknowledgement may rest on one machine.",
  },
  "default.replication.factor": {
    value: "3",
    reason:
      "a topic survives a machine unless told otherwise; never more than the registered brokers.",
  },
  "auto.create.topics.enable": {
    value: "false",
    reason: "a misspelt name must not become a topic.",
  },
  "replica.lag.time.max.ms": {
    value: "10000",
    reason: "acks=all waits for every ISR member, so one that hangs holds producers up this long.",
  },
  "broker.heartbeat.interval.ms": {
    value: "250",
    reason: "heartbeats are one small message on an open stream.",
  },
  "broker.session.timeout.ms": {
    value: "2000",
    reason: "a frozen broker's partitions have a new leader within 3 s.",
  },
  "log.dir": {
    value: null,
    reason: "a directory that the system clears at its next start is no place for a log.",
  },
  listeners: {
    value: "PLAINTEXT://:9092,GRPC://:9192,INTERNAL://:9392,HTTP://:9292",
    reason: "clients may also speak gRPC, and brokers have a listener of their own.",
  },
  "listener.security.protocol.map": {
    value: "PLAINTEXT:PLAINTEXT,GRPC:GRPC,INTERNAL:INTERNAL,HTTP:HTTP",
    reason: "these are the protocols that its listeners speak.",
  },
  "inter.broker.listener.name": {
    value: "INTERNAL",
    reason: "what brokers tell each other is served on no client's listener.",
  },
};
