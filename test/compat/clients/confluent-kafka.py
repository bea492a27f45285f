"""confluent-kafka for Python, of any version since 1.7: one call of the plan, see program-client.ts."""
import json
import signal
import sys

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

WAIT_S = 60
CALL = sys.argv[1]
ASKED = json.loads(sys.stdin.read() or "{}")
SERVERS = {"bootstrap.servers": ASKED["bootstrapServers"]}


# Kept: one that nobody holds is destroyed, and its calls with it, while their futures are awaited.
ADMINS = []


def admin():
    ADMINS.append(AdminClient(SERVERS))
    return ADMINS[-1]


def results(futures):
    return [future.result(WAIT_S) for future in futures.values()]


def version():
    return "%s, librdkafka %s" % (confluent_kafka.__version__, confluent_kafka.libversion()[0])


def create():
    topic = NewTopic(ASKED["topic"], ASKED["partitions"], ASKED["replicationFactor"])
    results(admin().create_topics([topic], operation_timeout=WAIT_S))


def produce():
    failures = []
    producer = Producer({
        **SERVERS,
        "compression.type": ASKED["codec"],
        "enable.idempotence": ASKED["idempotent"],
        "partitioner": "murmur2_random",
        "linger.ms": 20,
    })
    for record in ASKED["records"]:
        producer.produce(
            ASKED["topic"], record["value"], record["key"],
            on_delivery=lambda error, _: failures.append(str(error)) if error else None,
        )
    if producer.flush(WAIT_S) != 0 or failures:
        raise SystemExit("not delivered: %s" % failures[:3])


def row(message):
    if message.error():
        raise SystemExit(str(message.error()))
    return [message.partition(), message.offset(), message.key().decode(), message.value().decode()]


def consumer(group, **others):
    return Consumer({
        **SERVERS, "group.id": group, "auto.offset.reset": "earliest", "session.timeout.ms": 6000, **others,
    })


def read(reader, starts, ends):
    reader.assign(starts)
    rows = []
    open_partitions = {start.partition for start in starts if start.offset < ends[start.partition]}
    while open_partitions:
        message = reader.poll(WAIT_S)
        if message is None:
            raise SystemExit("nothing came; read %d records" % len(rows))
        rows.append(row(message))
        if message.offset() + 1 >= ends[message.partition()]:
            open_partitions.discard(message.partition())
    reader.close()
    return rows


def consume():
    ends = ASKED["ends"]
    starts = [TopicPartition(ASKED["topic"], partition, 0) for partition in range(len(ends))]
    return read(consumer("by-assignment", **{"enable.auto.commit": False}), starts, ends)


def consume_from_time():
    reader = consumer("by-time", **{"enable.auto.commit": False})
    asked = [TopicPartition(ASKED["topic"], 0, ASKED["timestamp"])]
    return read(reader, reader.offsets_for_times(asked, timeout=WAIT_S), [ASKED["end"]])


def join():
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    reader = consumer(ASKED["group"], **{"auto.commit.interval.ms": 500})
    reader.subscribe([ASKED["topic"]])
    while going:
        message = reader.poll(0.2)
        if message is not None:
            print(json.dumps(row(message)), flush=True)
    reader.close()


def lag():
    reader = consumer(ASKED["group"])
    partitions = [TopicPartition(ASKED["topic"], each) for each in range(ASKED["partitions"])]
    lags = []
    for position in reader.committed(partitions, timeout=WAIT_S):
        _, end = reader.get_watermark_offsets(position, timeout=WAIT_S, cached=False)
        lags.append({"partition": position.partition, "committed": position.offset, "lag": end - position.offset})
    reader.close()
    return lags


def brokers():
    return sorted(admin().list_topics(timeout=WAIT_S).brokers)


def topics():
    return sorted(admin().list_topics(timeout=WAIT_S).topics)


def resource(**others):
    return ConfigResource(ConfigResource.Type.TOPIC, ASKED["topic"], **others)


def set_config():
    if hasattr(AdminClient, "incremental_alter_configs"):
        from confluent_kafka.admin import AlterConfigOpType, ConfigEntry

        entry = ConfigEntry(ASKED["name"], ASKED["value"], incremental_operation=AlterConfigOpType.SET)
        results(admin().incremental_alter_configs([resource(incremental_configs=[entry])]))
    else:
        results(admin().alter_configs([resource(set_config={ASKED["name"]: ASKED["value"]})]))


def config():
    return results(admin().describe_configs([resource()]))[0][ASKED["name"]].value


def add_partitions():
    results(admin().create_partitions([NewPartitions(ASKED["topic"], ASKED["total"])]))


def groups():
    if hasattr(AdminClient, "list_consumer_groups"):
        listed = admin().list_consumer_groups(request_timeout=WAIT_S).result(WAIT_S)
        return [group.group_id for group in listed.valid]
    return [group.id for group in admin().list_groups(timeout=WAIT_S)]


def group_state():
    if hasattr(AdminClient, "describe_consumer_groups"):
        return results(admin().describe_consumer_groups([ASKED["group"]]))[0].state.name
    return admin().list_groups(ASKED["group"], timeout=WAIT_S)[0].state


def delete_records():
    results(admin().delete_records([TopicPartition(ASKED["topic"], ASKED["partition"], ASKED["before"])]))


def delete_group():
    results(admin().delete_consumer_groups([ASKED["group"]]))


def delete_topic():
    results(admin().delete_topics([ASKED["topic"]], operation_timeout=WAIT_S))


CALLS = {
    "version": version, "create": create, "produce": produce, "consume": consume,
    "consumeFromTime": consume_from_time, "join": join, "lag": lag, "brokers": brokers,
    "topics": topics, "setConfig": set_config, "config": config, "addPartitions": add_partitions,
    "groups": groups, "groupState": group_state, "deleteRecords": delete_records,
    "deleteGroup": delete_group, "deleteTopic": delete_topic,
}
print(json.dumps(CALLS[CALL]()))
