/**
 * Broker keys of Kafka 4.3: consumer, share and streams groups, transactions. Columns: see `config-definition.ts`.
 */
export const BROKER_CONFIGS_GROUPS = `
add.partitions.to.txn.retry.backoff.max.ms | int | 100 | 0.. | read-only | no | Longest wait between a broker's attempts to add a partition to a transaction.
add.partitions.to.txn.retry.backoff.ms | int | 20 | 1.. | read-only | no | First wait between a broker's attempts to add a partition to a transaction.
group.consumer.assignment.interval.ms | int | 1000 | 0.. | cluster-wide | no | Least time between two assignments of a consumer group.
group.consumer.assignors | list | uniform,range | * | read-only | no | Server-side assignors for consumer groups; the first is the default.
group.consumer.heartbeat.interval.ms | int | 5000 | 1.. | read-only | no | Heartbeat interval given to members of consumer groups.
group.consumer.max.assignment.interval.ms | int | 15000 | 0.. | read-only | no | Upper bound of a group's own consumer.assignment.interval.ms.
group.consumer.max.heartbeat.interval.ms | int | 15000 | 1.. | read-only | no | Upper bound of a group's own consumer.heartbeat.interval.ms.
group.consumer.max.session.timeout.ms | int | 60000 | 1.. | read-only | no | Upper bound of a group's own consumer.session.timeout.ms.
group.consumer.max.size | int | 2147483647 | 1.. | read-only | no | Most members of one consumer group.
group.consumer.migration.policy | string | bidirectional | i:DISABLED,DOWNGRADE,UPGRADE,BIDIRECTIONAL | read-only | no | Which changes between the classic and the consumer protocol are allowed.
group.consumer.min.assignment.interval.ms | int | 0 | 0.. | read-only | no | Lower bound of a group's own consumer.assignment.interval.ms.
group.consumer.min.heartbeat.interval.ms | int | 5000 | 1.. | read-only | no | Lower bound of a group's own consumer.heartbeat.interval.ms.
group.consumer.min.session.timeout.ms | int | 45000 | 1.. | read-only | no | Lower bound of a group's own consumer.session.timeout.ms.
group.consumer.regex.refresh.interval.ms | int | 600000 | 10000.. | read-only | no | Time between two evaluations of regular expressions in subscriptions.
group.consumer.session.timeout.ms | int | 45000 | 1.. | read-only | no | A member of a consumer group that is silent for this long is expelled.
group.coordinator.append.linger.ms | int | -1 | -1.. | read-only | yes | How long the group coordinator collects records before it writes them; -1 adapts.
group.coordinator.background.threads | int | 2 | 1.. | read-only | no | Background threads of the group coordinator.
group.coordinator.cached.buffer.max.bytes | int | 1048588 | 524288.. | cluster-wide | no | Largest write buffer that the group coordinator keeps for reuse.
group.coordinator.rebalance.protocols | list | classic,consumer,streams | consumer,classic,share,streams | read-only | no | Group protocols that are offered.
group.coordinator.threads | int | 4 | 1.. | read-only | no | Threads of the group coordinator.
group.initial.rebalance.delay.ms | int | 3000 | * | read-only | yes | How long a new classic group waits for more members.
group.max.session.timeout.ms | int | 1800000 | * | read-only | yes | Longest session timeout that a classic member may ask for.
group.max.size | int | 2147483647 | 1.. | read-only | yes | Most members of one classic group.
group.min.session.timeout.ms | int | 6000 | * | read-only | yes | Shortest session timeout that a classic member may ask for.
group.share.assignment.interval.ms | int | 1000 | 0.. | cluster-wide | no | Least time between two assignments of a share group.
group.share.assignors | list | simple | * | read-only | no | Server-side assignors for share groups.
group.share.delivery.count.limit | int | 5 | 2..10 | read-only | no | Deliveries of a record to a share group before it is given up.
group.share.heartbeat.interval.ms | int | 5000 | 1.. | read-only | no | Heartbeat interval given to members of share groups.
group.share.initialize.retry.interval.ms | int | 30000 | 1.. | read-only | no | Wait before the state of a share partition is initialized again.
group.share.max.assignment.interval.ms | int | 15000 | 0.. | read-only | no | Upper bound of a group's own share.assignment.interval.ms.
group.share.max.delivery.count.limit | int | 10 | 5..25 | read-only | no | Upper bound of a group's own share.delivery.count.limit.
group.share.max.heartbeat.interval.ms | int | 15000 | 1.. | read-only | no | Upper bound of a group's own share.heartbeat.interval.ms.
group.share.max.partition.max.record.locks | int | 4000 | 2000..10000 | read-only | no | Upper bound of a group's own share.partition.max.record.locks.
group.share.max.record.lock.duration.ms | int | 60000 | 30000..3600000 | read-only | no | Upper bound of a group's own share.record.lock.duration.ms.
group.share.max.session.timeout.ms | int | 60000 | 1.. | read-only | no | Upper bound of a group's own share.session.timeout.ms.
group.share.max.share.sessions | int | 2000 | 1.. | read-only | no | Most share sessions of one broker.
group.share.max.size | int | 200 | 1..1000 | read-only | no | Most members of one share group.
group.share.min.assignment.interval.ms | int | 0 | 0.. | read-only | no | Lower bound of a group's own share.assignment.interval.ms.
group.share.min.delivery.count.limit | int | 2 | 2..5 | read-only | no | Lower bound of a group's own share.delivery.count.limit.
group.share.min.heartbeat.interval.ms | int | 5000 | 1.. | read-only | no | Lower bound of a group's own share.heartbeat.interval.ms.
group.share.min.partition.max.record.locks | int | 100 | 100..2000 | read-only | no | Lower bound of a group's own share.partition.max.record.locks.
group.share.min.record.lock.duration.ms | int | 15000 | 1000..30000 | read-only | no | Lower bound of a group's own share.record.lock.duration.ms.
group.share.min.session.timeout.ms | int | 45000 | 1.. | read-only | no | Lower bound of a group's own share.session.timeout.ms.
group.share.partition.max.record.locks | int | 2000 | 100..10000 | read-only | no | Records of one share partition that may be acquired at a time.
group.share.persister.class.name | string | org.apache.kafka.server.share.persister.DefaultStatePersister | * | read-only | no | Class that keeps the state of share groups.
group.share.record.lock.duration.ms | int | 30000 | 1000..3600000 | read-only | no | How long a record acquired by a share consumer stays its own.
group.share.session.timeout.ms | int | 45000 | 1.. | read-only | no | A member of a share group that is silent for this long is expelled.
group.streams.assignment.interval.ms | int | 1000 | 0.. | cluster-wide | no | Least time between two assignments of a streams group.
group.streams.heartbeat.interval.ms | int | 5000 | 1.. | read-only | no | Heartbeat interval given to members of streams groups.
group.streams.initial.rebalance.delay.ms | int | 3000 | 0.. | read-only | no | How long a new streams group waits for more members.
group.streams.max.assignment.interval.ms | int | 15000 | 0.. | read-only | no | Upper bound of a group's own streams.assignment.interval.ms.
group.streams.max.heartbeat.interval.ms | int | 15000 | 1.. | read-only | no | Upper bound of a group's own streams.heartbeat.interval.ms.
group.streams.max.session.timeout.ms | int | 60000 | 1.. | read-only | no | Upper bound of a group's own streams.session.timeout.ms.
group.streams.max.size | int | 2147483647 | 1.. | read-only | no | Most members of one streams group.
group.streams.max.standby.replicas | int | 2 | 0.. | read-only | no | Upper bound of a group's own streams.num.standby.replicas.
group.streams.min.assignment.interval.ms | int | 0 | 0.. | read-only | no | Lower bound of a group's own streams.assignment.interval.ms.
group.streams.min.heartbeat.interval.ms | int | 5000 | 1.. | read-only | no | Lower bound of a group's own streams.heartbeat.interval.ms.
group.streams.min.session.timeout.ms | int | 45000 | 1.. | read-only | no | Lower bound of a group's own streams.session.timeout.ms.
group.streams.num.standby.replicas | int | 0 | 0.. | read-only | no | Standby replicas of each task of a streams group.
group.streams.session.timeout.ms | int | 45000 | 1.. | read-only | no | A member of a streams group that is silent for this long is expelled.
offset.metadata.max.bytes | int | 4096 | * | read-only | yes | Largest note that a consumer may leave with a committed offset.
offsets.commit.timeout.ms | int | 5000 | 1.. | read-only | yes | Longest wait until an offset commit is replicated.
offsets.load.buffer.size | int | 5242880 | 1.. | read-only | yes | Bytes read at a time while offsets are loaded.
offsets.retention.check.interval.ms | long | 600000 | 1.. | read-only | yes | Time between two searches for expired offsets.
offsets.retention.minutes | int | 10080 | 1.. | read-only | yes | How long the offsets of an empty group are kept.
offsets.topic.compression.codec | int | 0 | * | read-only | yes | Compression of the offsets topic, as a number.
offsets.topic.num.partitions | int | 50 | 1.. | read-only | yes | Partitions of the offsets topic.
offsets.topic.replication.factor | short | 3 | 1.. | read-only | yes | Replication factor of the offsets topic.
offsets.topic.segment.bytes | int | 104857600 | 1.. | read-only | yes | Segment size of the offsets topic.
share.coordinator.append.linger.ms | int | -1 | -1.. | read-only | no | How long the share coordinator collects records before it writes them; -1 adapts.
share.coordinator.cached.buffer.max.bytes | int | 1048588 | 524288.. | cluster-wide | no | Largest write buffer that the share coordinator keeps for reuse.
share.coordinator.cold.partition.snapshot.interval.ms | int | 300000 | 1.. | read-only | no | Time after which a quiet share partition gets a snapshot.
share.coordinator.load.buffer.size | int | 5242880 | 1.. | read-only | no | Bytes read at a time while share state is loaded.
share.coordinator.snapshot.update.records.per.snapshot | int | 500 | 0..500 | read-only | no | Updates of share state between two snapshots.
share.coordinator.state.topic.compression.codec | int | 0 | * | read-only | no | Compression of the share state topic, as a number.
share.coordinator.state.topic.min.isr | short | 2 | 1.. | read-only | no | The min.insync.replicas of the share state topic.
share.coordinator.state.topic.num.partitions | int | 50 | 1.. | read-only | no | Partitions of the share state topic.
share.coordinator.state.topic.prune.interval.ms | int | 300000 | 1.. | read-only | no | Time between two prunings of the share state topic.
share.coordinator.state.topic.replication.factor | short | 3 | 1.. | read-only | no | Replication factor of the share state topic.
share.coordinator.state.topic.segment.bytes | int | 104857600 | 1.. | read-only | no | Segment size of the share state topic.
share.coordinator.threads | int | 1 | 1.. | read-only | no | Threads of the share coordinator.
share.coordinator.write.timeout.ms | int | 5000 | 1.. | read-only | no | Longest wait until share state is replicated.
share.fetch.purgatory.purge.interval.requests | int | 1000 | * | read-only | no | Finished share fetches kept before they are cleared away.
transaction.abort.timed.out.transaction.cleanup.interval.ms | int | 10000 | 1.. | read-only | no | Time between two searches for transactions past their timeout.
transaction.max.timeout.ms | int | 900000 | 1.. | read-only | no | Longest timeout that a transaction may ask for.
transaction.partition.verification.enable | boolean | true | * | cluster-wide | no | Whether a partition asks the coordinator before it takes a transaction's first batch.
transaction.remove.expired.transaction.cleanup.interval.ms | int | 3600000 | 1.. | read-only | no | Time between two searches for expired transactional ids.
transaction.state.log.load.buffer.size | int | 5242880 | 1.. | read-only | no | Bytes read at a time while transaction state is loaded.
transaction.state.log.min.isr | int | 2 | 1.. | read-only | no | The min.insync.replicas of the transaction topic.
transaction.state.log.num.partitions | int | 50 | 1.. | read-only | no | Partitions of the transaction topic.
transaction.state.log.replication.factor | short | 3 | 1.. | read-only | no | Replication factor of the transaction topic.
transaction.state.log.segment.bytes | int | 104857600 | 1.. | read-only | no | Segment size of the transaction topic.
transaction.two.phase.commit.enable | boolean | false | * | read-only | no | Whether a client may prepare transactions for an outside coordinator.
transactional.id.expiration.ms | int | 604800000 | 1.. | read-only | no | A transactional id that is unused for this long is forgotten.
`;
