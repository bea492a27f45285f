/**
 * Broker keys of Kafka 4.3: identity, network, quorum, metrics, quotas. Columns: see `config-definition.ts`.
 */
export const BROKER_CONFIGS_SERVER = `
advertised.listeners | list | ~ | * | read-only | yes | Addresses that clients and other brokers are told to connect to; those of listeners if absent.
alter.config.policy.class.name | class | ~ | * | read-only | no | Class that may veto changes of configuration.
alter.log.dirs.replication.quota.window.num | int | 11 | 1.. | read-only | no | Samples kept for the quota on moving replicas between directories.
alter.log.dirs.replication.quota.window.size.seconds | int | 1 | 1.. | read-only | no | Length of one sample of the quota on moving replicas between directories.
auto.create.topics.enable | boolean | true | * | read-only | yes | Whether asking for a missing topic creates it.
auto.leader.rebalance.enable | boolean | true | * | read-only | yes | Whether the controller gives leadership back to preferred replicas by itself.
background.threads | int | 10 | 1.. | cluster-wide | no | Threads for background work.
broker.heartbeat.interval.ms | int | 2000 | * | read-only | yes | Time between a broker's heartbeats to the controller.
broker.id | int | -1 | * | read-only | yes | Older name of node.id.
broker.rack | string | ~ | * | read-only | yes | Failure domain of this broker; placement spreads the replicas of a partition over racks.
broker.session.timeout.ms | int | 9000 | * | read-only | yes | A broker that is not heard for this long is fenced.
client.quota.callback.class | class | ~ | * | read-only | no | Class that computes client quotas.
config.providers | list |  | * | cluster-wide | no | Names of providers that resolve references inside configuration values.
connections.max.idle.ms | long | 600000 | * | read-only | yes | An idle client connection is closed after this time.
controlled.shutdown.enable | boolean | true | * | read-only | yes | Whether a stopping broker first hands its leaderships to others.
controller.listener.names | list | ~ | * | read-only | yes | The listener that controllers use, and in Ottla all brokers among themselves, in place of inter.broker.listener.name.
controller.performance.always.log.threshold.ms | long | 2000 | 0.. | read-only | no | A controller event that takes longer than this is logged by itself.
controller.performance.sample.period.ms | long | 60000 | 100.. | read-only | no | Time between two reports about the slowest controller events.
controller.quorum.append.linger.ms | int | 25 | 0.. | read-only | no | How long the metadata leader collects records before it writes them.
controller.quorum.auto.join.enable | boolean | false | * | read-only | no | Whether a new controller joins the quorum by itself.
controller.quorum.bootstrap.servers | list |  | * | read-only | no | Addresses at which the metadata quorum can be found.
controller.quorum.election.backoff.max.ms | int | 1000 | 0.. | read-only | no | Longest wait before another election after a lost one.
controller.quorum.election.timeout.ms | int | 1000 | 0.. | read-only | yes | Least time without word from the metadata leader before a voter campaigns; the most is twice that.
controller.quorum.fetch.max.bytes | int | 1048576 | 1.. | read-only | no | Most bytes of one fetch of the metadata log.
controller.quorum.fetch.snapshot.max.bytes | int | 1048576 | 1.. | read-only | no | Most bytes of one fetch of a metadata snapshot.
controller.quorum.fetch.timeout.ms | int | 2000 | 0.. | read-only | no | A metadata follower that could not fetch for this long campaigns.
controller.quorum.request.timeout.ms | int | 2000 | 0.. | read-only | no | Longest wait for the answer to a quorum request.
controller.quorum.retry.backoff.ms | int | 20 | 0.. | read-only | no | Wait before a failed quorum request is sent again.
controller.quorum.voters | list |  | * | read-only | yes | The voters of the metadata quorum, as id@host:port, separated by commas.
controller.quota.window.num | int | 11 | 1.. | read-only | no | Samples kept for the quota on topic mutations.
controller.quota.window.size.seconds | int | 1 | 1.. | read-only | no | Length of one sample of the quota on topic mutations.
controller.socket.timeout.ms | int | 30000 | * | read-only | no | Longest wait on a connection to the controller.
create.topic.policy.class.name | class | ~ | * | read-only | no | Class that may veto the creation of topics.
early.start.listeners | list | ~ | * | read-only | no | Listeners that open before the broker has finished starting.
initial.broker.registration.timeout.ms | int | 60000 | * | read-only | no | A starting broker gives up if it could not register for this long.
inter.broker.listener.name | string | ~ | * | read-only | yes | The listener that brokers use among themselves.
internal.metadata.delete.delay.millis | long | 60000 | * | read-only | no | Wait before an old metadata segment is removed.
internal.metadata.log.segment.bytes | int | ~ | * | read-only | no | Size of a metadata segment, for tests.
internal.metadata.max.batch.size.in.bytes | int | 8388608 | * | read-only | no | Largest batch of metadata records.
kafka.metrics.polling.interval.secs | int | 10 | 1.. | read-only | no | Time between two polls of metrics reporters.
kafka.metrics.reporters | list |  | * | read-only | no | Classes that report the older kind of metrics.
leader.imbalance.check.interval.seconds | long | 300 | 1.. | read-only | yes | Time between two searches for partitions whose preferred replica does not lead.
listener.security.protocol.map | string | SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT | * | per-broker | yes | What is spoken on each listener, as NAME:PROTOCOL, separated by commas.
listeners | list | PLAINTEXT://:9092 | * | per-broker | yes | Addresses on which the broker listens, as NAME://host:port, separated by commas.
max.connection.creation.rate | int | 2147483647 | 0.. | cluster-wide | no | Connections that a broker accepts in a second.
max.connections | int | 2147483647 | 0.. | cluster-wide | yes | Connections of one broker.
max.connections.per.ip | int | 2147483647 | 0.. | cluster-wide | yes | Connections from one address.
max.connections.per.ip.overrides | string |  | * | cluster-wide | yes | Exceptions from max.connections.per.ip, as address:count, separated by commas.
max.incremental.fetch.session.cache.slots | int | 1000 | 0.. | read-only | yes | Incremental fetch sessions that a broker remembers.
max.request.partition.size.limit | int | 2000 | 1.. | read-only | yes | Most partitions that one describe request returns.
metadata.log.dir | string | ~ | * | read-only | no | Directory of the metadata log; the first of log.dirs if absent.
metadata.log.max.record.bytes.between.snapshots | long | 20971520 | 1.. | read-only | yes | Bytes of the metadata log after which a snapshot is written.
metadata.log.max.snapshot.interval.ms | long | 3600000 | 0.. | read-only | no | Longest time between two snapshots while the metadata changes.
metadata.log.segment.bytes | int | 1073741824 | 8388608.. | read-only | no | Size of a segment of the metadata log.
metadata.log.segment.ms | long | 604800000 | * | read-only | no | Age at which a segment of the metadata log is closed.
metadata.max.idle.interval.ms | int | 500 | 0.. | read-only | no | An idle metadata leader writes an empty entry this often.
metadata.max.retention.bytes | long | 104857600 | * | read-only | no | Bytes of metadata log and snapshots that are kept.
metadata.max.retention.ms | long | 604800000 | * | read-only | no | How long metadata log and snapshots are kept.
metric.reporters | list | org.apache.kafka.common.metrics.JmxReporter | * | cluster-wide | no | Classes that report metrics.
metrics.num.samples | int | 2 | 1.. | read-only | no | Samples from which a metric is computed.
metrics.recording.level | string | INFO | * | read-only | no | How detailed metrics are.
metrics.sample.window.ms | long | 30000 | 1.. | read-only | no | Length of one sample of a metric.
node.id | int | ~ | 0.. | read-only | yes | Identity of this broker in its cluster.
num.io.threads | int | 8 | 1.. | cluster-wide | no | Threads that process requests.
num.network.threads | int | 3 | 1.. | cluster-wide | no | Threads that read requests from the network.
process.roles | list | ~ | broker,controller | read-only | yes | Roles of this process: broker, and controller if controller.quorum.voters names it.
producer.id.expiration.check.interval.ms | int | 600000 | 1.. | read-only | no | Time between two searches for expired producer ids.
producer.id.expiration.ms | int | 86400000 | 1.. | cluster-wide | yes | A producer id that wrote nothing for this long is forgotten; a change counts from the next start.
producer.purgatory.purge.interval.requests | int | 1000 | * | read-only | no | Finished produce requests kept before they are cleared away.
queued.max.request.bytes | long | -1 | * | read-only | yes | Bytes of requests that may wait; -1 no bound.
queued.max.requests | int | 500 | 1.. | read-only | no | Requests that may wait before the network is no longer read.
quota.window.num | int | 11 | 1.. | read-only | no | Samples kept for client quotas.
quota.window.size.seconds | int | 1 | 1.. | read-only | no | Length of one sample of client quotas.
request.timeout.ms | int | 30000 | * | read-only | yes | Longest wait for the answer to a request between brokers.
server.max.startup.time.ms | long | 9223372036854775807 | 0.. | read-only | no | A broker that has not started within this time stops.
socket.connection.setup.timeout.max.ms | long | 30000 | * | read-only | no | Longest wait for a connection after repeated failures.
socket.connection.setup.timeout.ms | long | 10000 | * | read-only | no | First wait for a connection.
socket.listen.backlog.size | int | 50 | 1.. | read-only | no | Connections that may wait to be accepted.
socket.receive.buffer.bytes | int | 102400 | * | read-only | no | Receive buffer of client sockets.
socket.request.max.bytes | int | 104857600 | 1.. | read-only | yes | Largest request of Kafka's protocol.
socket.send.buffer.bytes | int | 102400 | * | read-only | no | Send buffer of client sockets.
telemetry.max.bytes | int | 1048576 | 1.. | read-only | no | Largest push of client metrics.
unstable.api.versions.enable | boolean | false | * | read-only | no | Whether unfinished versions of requests are offered.
unstable.feature.versions.enable | boolean | false | * | read-only | no | Whether unfinished feature levels are offered.
`;
