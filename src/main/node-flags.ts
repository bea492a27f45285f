/**
 * For `node` in a broker's process. V8 starts a full collection whenever the memory of buffers has
 * grown by as much as its small heap seems worth, and a broker's heap is small while megabytes of
 * batches pass through: a collection every 6 MB, a third of the processor. With this it expects a
 * heap of 256 MB from the start, and collects the young buffers by scavenging alone. It reserves
 * nothing: an idle broker's memory is the same.
 */
export const NODE_FLAGS: readonly string[] = ["--initial-old-space-size=256"];
