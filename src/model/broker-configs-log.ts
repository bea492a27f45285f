/**
 * Broker keys of Kafka 4.3: logs, replication, tiered storage. Columns: see `config-definition.ts`.
 */
export const BROKER_CONFIGS_LOG = `
compression.gzip.level | int | -1 | -1,1..9 | cluster-wide | no | Level of gzip where the broker compresses.
compression.lz4.level | int | 9 | 1..17 | cluster-wide | no | Level of lz4 where the broker compresses.
compression.type | string | producer | uncompressed,zstd,lz4,snappy,gzip,producer | cluster-wide | no | How batches are stored: producer keeps what came, anything else compresses anew.
compression.zstd.level | int | 3 | -131072..22 | cluster-wide | no | Level of zstd where the broker compresses.
cordoned.log.dirs | list |  | * | per-broker | no | Directories that get no new replicas.
default.replication.factor | int | 1 | * | read-only | yes | Replication factor of a topic created without one.
delete.records.purgatory.purge.interval.requests | int | 1 | * | read-only | no | Finished delete-records requests kept before they are cleared away.
delete.topic.enable | boolean | true | * | read-only | yes | Whether topics may be deleted.
fetch.max.bytes | int | 57671680 | 1024.. | read-only | yes | Most bytes that one fetch may ask for.
fetch.purgatory.purge.interval.requests | int | 1000 | * | read-only | no | Finished fetch requests kept before they are cleared away.
follower.fetch.last.tiered.offset.enable | boolean | false | * | cluster-wide | no | Whether a new follower starts at the last tiered offset.
follower.replication.throttled.rate | long | 9223372036854775807 | 0.. | cluster-wide | no | Bytes per second that replicas of follower.replication.throttled.replicas fetch in sum.
leader.replication.throttled.rate | long | 9223372036854775807 | 0.. | cluster-wide | no | Bytes per second that replicas of leader.replication.throttled.replicas serve in sum.
log.cleaner.backoff.ms | long | 15000 | 0.. | cluster-wide | yes | How long the log cleaner sleeps when there is nothing to clean.
log.cleaner.dedupe.buffer.size | long | 134217728 | * | cluster-wide | yes | Memory of the log cleaner for keys.
log.cleaner.delete.retention.ms | long | 86400000 | 0.. | cluster-wide | yes | How long tombstones of compacted topics are kept.
log.cleaner.enable | boolean | true | * | read-only | yes | Whether compaction runs.
log.cleaner.io.buffer.load.factor | double | 0.9 | * | cluster-wide | yes | How full the log cleaner may fill its memory for keys.
log.cleaner.io.buffer.size | int | 524288 | 0.. | cluster-wide | no | Input and output buffers of the log cleaner.
log.cleaner.io.max.bytes.per.second | double | 1.7976931348623157e308 | * | cluster-wide | yes | Most bytes that the log cleaner reads and writes in a second.
log.cleaner.max.compaction.lag.ms | long | 9223372036854775807 | 1.. | cluster-wide | yes | Longest time that a record of a compacted topic stays out of compaction.
log.cleaner.min.cleanable.ratio | double | 0.5 | 0..1 | cluster-wide | yes | Part of a log that must be uncompacted before it is compacted.
log.cleaner.min.compaction.lag.ms | long | 0 | 0.. | cluster-wide | yes | Shortest time that a record of a compacted topic stays uncompacted.
log.cleaner.threads | int | 1 | 0.. | cluster-wide | yes | Cleanings of the log cleaner at a time.
log.cleanup.policy | list | delete | compact,delete | cluster-wide | yes | What happens to old segments: delete, compact, both, or nothing.
log.dir | list | /tmp/kafka-logs | * | read-only | yes | Directory of the logs; used where log.dirs is absent.
log.dir.failure.timeout.ms | long | 30000 | 1.. | read-only | no | A broker that cannot tell the controller of a failed directory for this long stops.
log.dirs | list | ~ | * | read-only | yes | Directories of the logs, separated by commas; the first also holds the metadata log.
log.flush.interval.messages | long | 9223372036854775807 | 1.. | cluster-wide | yes | Records of a partition that may be unflushed; 1 flushes before each acknowledgement.
log.flush.interval.ms | long | ~ | * | cluster-wide | yes | Longest time that a record stays unflushed.
log.flush.offset.checkpoint.interval.ms | int | 60000 | 0.. | read-only | no | Time between two checkpoints of the recovery point.
log.flush.scheduler.interval.ms | long | 9223372036854775807 | * | read-only | yes | Time between two searches for logs to be flushed.
log.flush.start.offset.checkpoint.interval.ms | int | 60000 | 0.. | read-only | no | Time between two checkpoints of log start offsets.
log.index.interval.bytes | int | 4096 | 0.. | cluster-wide | no | Bytes of a log between two entries of its offset index.
log.index.size.max.bytes | int | 10485760 | 4.. | cluster-wide | no | Largest offset index of a segment.
log.initial.task.delay.ms | long | 30000 | 0.. | read-only | no | Wait after the start before the log's periodic tasks run.
log.local.retention.bytes | long | -2 | -2.. | cluster-wide | no | Bytes of a tiered partition that stay local; -2 as many as log.retention.bytes.
log.local.retention.ms | long | -2 | -2.. | cluster-wide | no | How long segments of a tiered partition stay local; -2 as long as log.retention.ms.
log.message.timestamp.after.max.ms | long | 3600000 | 0.. | cluster-wide | yes | How far a record's timestamp may be ahead of the broker's clock.
log.message.timestamp.before.max.ms | long | 9223372036854775807 | 0.. | cluster-wide | yes | How far a record's timestamp may be behind the broker's clock.
log.message.timestamp.type | string | CreateTime | CreateTime,LogAppendTime | cluster-wide | yes | Whether a record keeps its creator's time or gets the time of its append.
log.preallocate | boolean | false | * | cluster-wide | no | Whether segment files are allocated at full size.
log.retention.bytes | long | -1 | -1.. | cluster-wide | yes | Bytes of a partition that are kept; -1 all.
log.retention.check.interval.ms | long | 300000 | 1.. | read-only | yes | Time between two searches for segments past their retention.
log.retention.hours | int | 168 | * | read-only | yes | How long records are kept, in hours; the coarsest of three keys.
log.retention.minutes | int | ~ | * | read-only | yes | How long records are kept, in minutes; used where log.retention.ms is absent.
log.retention.ms | long | ~ | * | cluster-wide | yes | How long records are kept; -1 for ever.
log.roll.hours | int | 168 | 1.. | read-only | yes | A segment is closed after this many hours; used where log.roll.ms is absent.
log.roll.jitter.hours | int | 0 | 0.. | read-only | no | Random part of log.roll.hours that is taken off; used where log.roll.jitter.ms is absent.
log.roll.jitter.ms | long | ~ | * | cluster-wide | no | Random part of log.roll.ms that is taken off.
log.roll.ms | long | ~ | * | cluster-wide | yes | A segment is closed after this time.
log.segment.bytes | int | 1073741824 | 1048576.. | cluster-wide | yes | A segment is closed at this size.
log.segment.delete.delay.ms | long | 60000 | 0.. | cluster-wide | no | How long a removed segment stays on disk.
message.max.bytes | int | 1048588 | 0.. | cluster-wide | yes | Largest record batch that is accepted.
min.insync.replicas | int | 1 | 1.. | cluster-wide | yes | ISR members that must have an acks=all record before it is acknowledged; never more than the replicas.
num.partitions | int | 1 | 1.. | read-only | yes | Partitions of a topic created without a number.
num.recovery.threads.per.data.dir | int | 2 | 1.. | cluster-wide | no | Threads per directory that open logs at start.
num.replica.alter.log.dirs.threads | int | ~ | * | read-only | no | Threads that move replicas between directories.
num.replica.fetchers | int | 1 | 1.. | cluster-wide | no | Fetchers per leader that a follower runs.
remote.fetch.max.wait.ms | int | 500 | 1.. | cluster-wide | no | Longest wait for tiered data in a fetch.
remote.list.offsets.request.timeout.ms | long | 30000 | 1.. | cluster-wide | no | Longest wait for tiered data in a lookup of offsets.
remote.log.index.file.cache.total.size.bytes | long | 1073741824 | 1.. | cluster-wide | no | Local disk space for indexes of tiered segments.
remote.log.index.file.cache.ttl.ms | long | 900000 | -1.. | read-only | no | How long an unused index of a tiered segment stays cached.
remote.log.manager.copier.thread.pool.size | int | 10 | 1.. | cluster-wide | no | Threads that copy segments to the remote tier.
remote.log.manager.copy.max.bytes.per.second | long | 9223372036854775807 | 1.. | cluster-wide | no | Most bytes copied to the remote tier in a second.
remote.log.manager.copy.quota.window.num | int | 11 | 1.. | read-only | no | Samples kept for the quota on copying to the remote tier.
remote.log.manager.copy.quota.window.size.seconds | int | 1 | 1.. | read-only | no | Length of one sample of the quota on copying to the remote tier.
remote.log.manager.expiration.thread.pool.size | int | 10 | 1.. | cluster-wide | no | Threads that remove expired tiered segments.
remote.log.manager.fetch.max.bytes.per.second | long | 9223372036854775807 | 1.. | cluster-wide | no | Most bytes fetched from the remote tier in a second.
remote.log.manager.fetch.quota.window.num | int | 11 | 1.. | read-only | no | Samples kept for the quota on fetching from the remote tier.
remote.log.manager.fetch.quota.window.size.seconds | int | 1 | 1.. | read-only | no | Length of one sample of the quota on fetching from the remote tier.
remote.log.manager.follower.thread.pool.size | int | 2 | 1.. | cluster-wide | no | Threads that follow the remote tier on followers.
remote.log.manager.task.interval.ms | long | 30000 | 1.. | read-only | no | Time between two runs of tiering tasks.
remote.log.manager.task.retry.backoff.max.ms | long | 30000 | 1.. | read-only | no | Longest wait before a failed tiering task runs again.
remote.log.manager.task.retry.backoff.ms | long | 500 | 1.. | read-only | no | First wait before a failed tiering task runs again.
remote.log.manager.task.retry.jitter | double | 0.2 | 0..0.5 | read-only | no | Random part of the wait before a failed tiering task runs again.
remote.log.manager.thread.pool.size | int | 2 | 1.. | read-only | no | Threads that schedule tiering tasks.
remote.log.metadata.custom.metadata.max.bytes | int | 128 | 0.. | read-only | no | Largest custom metadata of a tiered segment.
remote.log.metadata.manager.class.name | string | org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager | non-empty | read-only | no | Class that keeps the metadata of tiered segments.
remote.log.metadata.manager.class.path | string | ~ | * | read-only | no | Where the class of the tiering metadata is found.
remote.log.metadata.manager.impl.prefix | string | rlmm.config. | non-empty | read-only | no | Prefix of keys handed to the class of the tiering metadata.
remote.log.metadata.manager.listener.name | string | ~ | non-empty | read-only | no | Listener that the class of the tiering metadata connects to.
remote.log.reader.max.pending.tasks | int | 100 | 1.. | read-only | no | Reads from the remote tier that may wait.
remote.log.reader.threads | int | 10 | 1.. | cluster-wide | no | Threads that read from the remote tier.
remote.log.storage.manager.class.name | string | ~ | non-empty | read-only | no | Class that stores tiered segments.
remote.log.storage.manager.class.path | string | ~ | * | read-only | no | Where the class that stores tiered segments is found.
remote.log.storage.manager.impl.prefix | string | rsm.config. | non-empty | read-only | no | Prefix of keys handed to the class that stores tiered segments.
remote.log.storage.system.enable | boolean | false | * | read-only | no | Whether tiered storage is on.
replica.alter.log.dirs.io.max.bytes.per.second | long | 9223372036854775807 | 0.. | cluster-wide | no | Bytes per second that are moved between log.dirs.
replica.fetch.backoff.ms | int | 1000 | 0.. | read-only | no | Wait of a follower after a failed fetch.
replica.fetch.max.bytes | int | 1048576 | 0.. | read-only | no | Bytes of one partition in a follower's fetch.
replica.fetch.min.bytes | int | 1 | * | read-only | no | Least bytes that a follower's fetch waits for.
replica.fetch.response.max.bytes | int | 10485760 | 0.. | read-only | no | Bytes of a whole follower's fetch.
replica.fetch.wait.max.ms | int | 500 | * | read-only | no | Longest wait of a follower's fetch.
replica.high.watermark.checkpoint.interval.ms | long | 5000 | * | read-only | no | Time between two checkpoints of high watermarks.
replica.lag.time.max.ms | long | 30000 | * | read-only | yes | A follower that was not caught up for this long leaves the ISR.
replica.selector.class | string | ~ | * | read-only | no | Class that picks the replica a consumer reads from.
replica.socket.receive.buffer.bytes | int | 65536 | * | read-only | no | Receive buffer of a follower's socket.
replica.socket.timeout.ms | int | 30000 | * | read-only | no | Longest wait on a follower's socket.
replication.quota.window.num | int | 11 | 1.. | read-only | no | Samples kept for replication quotas.
replication.quota.window.size.seconds | int | 1 | 1.. | read-only | no | Length of one sample of replication quotas.
unclean.leader.election.enable | boolean | false | * | cluster-wide | yes | Whether a replica that may lack acknowledged records becomes leader when no other is left.
unclean.leader.election.interval.ms | long | 300000 | 1.. | read-only | no | Time between two searches for partitions that need an unclean election.
`;
