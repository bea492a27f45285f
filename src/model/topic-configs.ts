/**
 * Topic keys of Kafka 4.3. Columns: see `config-definition.ts`; the fifth names the broker keys that
 * give the default, in the order in which they are asked, with the factor of a coarser unit.
 */
export const TOPIC_CONFIGS = `
cleanup.policy | list | delete | compact,delete | log.cleanup.policy | yes | What happens to old segments: delete drops them; compact keeps the last record of each key.
compression.gzip.level | int | -1 | -1,1..9 | compression.gzip.level | no | Level of gzip where the broker compresses.
compression.lz4.level | int | 9 | 1..17 | compression.lz4.level | no | Level of lz4 where the broker compresses.
compression.type | string | producer | uncompressed,zstd,lz4,snappy,gzip,producer | compression.type | no | How batches are stored: producer keeps what came, anything else compresses anew.
compression.zstd.level | int | 3 | -131072..22 | compression.zstd.level | no | Level of zstd where the broker compresses.
delete.retention.ms | long | 86400000 | 0.. | log.cleaner.delete.retention.ms | yes | How long tombstones of a compacted topic are kept.
file.delete.delay.ms | long | 60000 | 0.. | log.segment.delete.delay.ms | no | How long a removed segment stays on disk.
flush.messages | long | 9223372036854775807 | 1.. | log.flush.interval.messages | yes | Records that may be unflushed; 1 flushes before each acknowledgement, anything else is the relaxed profile: acknowledged when written.
flush.ms | long | 9223372036854775807 | 0.. | log.flush.interval.ms log.flush.scheduler.interval.ms | yes | Longest time that a record stays unflushed in the relaxed profile.
follower.replication.throttled.replicas | list |  | * |  | no | Replicas whose fetching is throttled, as partition:broker, separated by commas, or *.
index.interval.bytes | int | 4096 | 0.. | log.index.interval.bytes | no | Bytes of a log between two entries of its offset index.
internal.segment.bytes | int | ~ | * |  | yes | Segment size without a lower bound, for tests; goes before segment.bytes.
leader.replication.throttled.replicas | list |  | * |  | no | Replicas whose serving is throttled, as partition:broker, separated by commas, or *.
local.retention.bytes | long | -2 | -2.. | log.local.retention.bytes | no | Bytes of a tiered partition that stay local; -2 as many as retention.bytes.
local.retention.ms | long | -2 | -2.. | log.local.retention.ms | no | How long segments of a tiered partition stay local; -2 as long as retention.ms.
max.compaction.lag.ms | long | 9223372036854775807 | 1.. | log.cleaner.max.compaction.lag.ms | yes | Longest time that a record stays out of compaction.
max.message.bytes | int | 1048588 | 0.. | message.max.bytes | yes | Largest record batch that is accepted.
message.timestamp.after.max.ms | long | 3600000 | 0.. | log.message.timestamp.after.max.ms | yes | How far a record's timestamp may be ahead of the broker's clock.
message.timestamp.before.max.ms | long | 9223372036854775807 | 0.. | log.message.timestamp.before.max.ms | yes | How far a record's timestamp may be behind the broker's clock.
message.timestamp.type | string | CreateTime | CreateTime,LogAppendTime | log.message.timestamp.type | yes | Whether a record keeps its creator's time or gets the time of its append.
min.cleanable.dirty.ratio | double | 0.5 | 0..1 | log.cleaner.min.cleanable.ratio | yes | Part of a log that must be uncompacted before it is compacted.
min.compaction.lag.ms | long | 0 | 0.. | log.cleaner.min.compaction.lag.ms | yes | Shortest time that a record stays uncompacted.
min.insync.replicas | int | 1 | 1.. | min.insync.replicas | yes | ISR members that must have an acks=all record before it is acknowledged; never more than the replicas.
preallocate | boolean | false | * | log.preallocate | no | Whether segment files are allocated at full size.
remote.log.copy.disable | boolean | false | * |  | no | Whether a tiered topic stops copying new segments.
remote.log.delete.on.disable | boolean | false | * |  | no | Whether tiered data is removed when tiering is switched off.
remote.storage.enable | boolean | false | * |  | no | Whether the topic is tiered.
retention.bytes | long | -1 | -1.. | log.retention.bytes | yes | Bytes of each partition that are kept; -1 all.
retention.ms | long | 604800000 | -1.. | log.retention.ms log.retention.minutes*60000 log.retention.hours*3600000 | yes | How long records are kept; -1 for ever.
segment.bytes | int | 1073741824 | 1048576.. | log.segment.bytes | yes | A segment is closed at this size.
segment.index.bytes | int | 10485760 | 4.. | log.index.size.max.bytes | no | Largest offset index of a segment.
segment.jitter.ms | long | 0 | 0.. | log.roll.jitter.ms log.roll.jitter.hours*3600000 | no | Random part of segment.ms that is taken off.
segment.ms | long | 604800000 | 1.. | log.roll.ms log.roll.hours*3600000 | yes | A segment is closed after this time.
unclean.leader.election.enable | boolean | false | * | unclean.leader.election.enable | yes | Whether a replica that may lack acknowledged records becomes leader when no other is left.
`;
