/** Topics: made, told, widened, emptied, moved, deleted. */
import type { RequestInputs } from "../../../src/kafka-wire/messages.ts";
import { ZERO_UUID } from "../../../src/kafka-wire/reader.ts";
import { assignmentsOf, metadataOf, type Target, versionsOf } from "../target.ts";

type NewTopic = RequestInputs["CreateTopics"]["topics"][number];

const TIMEOUT_MS = 30_000;
const UNKNOWN_ID = "abcdefghijklmnopqrstuA";
const LONG = "n".repeat(250);

export async function topicsScript(target: Target): Promise<void> {
  // So that __consumer_offsets is there.
  await target.coordinatorOf(target.name("topics"));
  await create(target);
  await tell(target);
  await describe(target);
  await widen(target);
  await elect(target);
  await reassign(target);
  await remove(target);
}

function topic(name: string, options: Partial<NewTopic> = {}): NewTopic {
  return { name, numPartitions: 2, replicationFactor: 3, assignments: [], configs: [], ...options };
}

async function create(target: Target): Promise<void> {
  await target.topic("taken");
  await target.topic("dots.taken");
  for (const version of versionsOf("CreateTopics")) {
    const name = (plain: string): string => target.name(`${plain}${version}`);
    const asked = (label: string, topics: readonly NewTopic[], validateOnly = false) =>
      target
        .observe(label, 1, "CreateTopics", version, { topics, timeoutMs: TIMEOUT_MS, validateOnly })
        .then((answer) => {
          for (const made of answer?.topics ?? [])
            target.know(made.topicId, `id of ${made.name.replace(target.name(""), "")}`);
        });
    await asked("validated only", [topic(name("dry"))], true);
    await asked("made after it was only validated", [topic(name("dry"))]);
    await asked("defaults", [topic(name("default"), { numPartitions: -1, replicationFactor: -1 })]);
    await asked("with configuration", [
      topic(name("configured"), {
        configs: [
          { name: "retention.ms", value: "1000" },
          { name: "cleanup.policy", value: "compact,delete" },
        ],
      }),
    ]);
    await asked("replicas given", [
      topic(name("assigned"), {
        numPartitions: -1,
        replicationFactor: -1,
        assignments: assignmentsOf(3),
      }),
    ]);
    await asked("none", []);
    await asked("one that is there", [topic(target.name("taken"))]);
    await asked("one that is there, validated only", [topic(target.name("taken"))], true);
    await asked("one that collides with a dot", [topic(target.name("dots_taken"))]);
    await asked("the same twice", [topic(name("twice")), topic(name("twice"))]);
    await asked("the same twice beside another", [
      topic(name("two")),
      topic(name("two")),
      topic(name("beside")),
    ]);
    await asked("an internal one", [topic("__consumer_offsets")]);
    for (const illegal of ["", ".", "..", "a b", "a/b", "ä", LONG]) {
      await asked(`a name of ${illegal === LONG ? "250 characters" : JSON.stringify(illegal)}`, [
        topic(illegal),
      ]);
    }
    for (const numPartitions of [0, -2]) {
      await asked(`${numPartitions} partitions`, [topic(name("bad"), { numPartitions })]);
    }
    for (const replicationFactor of [0, -2, 4, 32_767]) {
      await asked(`a replication factor of ${replicationFactor}`, [
        topic(name("bad"), { replicationFactor }),
      ]);
    }
    const replicas = (
      label: string,
      assignments: NewTopic["assignments"],
      options: Partial<NewTopic> = {},
    ) =>
      asked(label, [
        topic(name("bad"), { numPartitions: -1, replicationFactor: -1, assignments, ...options }),
      ]);
    await replicas("replicas and a count of partitions", assignmentsOf(2), { numPartitions: 2 });
    await replicas("replicas and a replication factor", assignmentsOf(2), { replicationFactor: 3 });
    await replicas("replicas with a hole", [{ partitionIndex: 1, brokerIds: [1, 2, 3] }]);
    await replicas("replicas twice for a partition", [
      { partitionIndex: 0, brokerIds: [1] },
      { partitionIndex: 0, brokerIds: [2] },
    ]);
    await replicas("a replica that is no broker", [{ partitionIndex: 0, brokerIds: [1, 99] }]);
    await replicas("a negative replica", [{ partitionIndex: 0, brokerIds: [-1] }]);
    await replicas("a replica twice", [{ partitionIndex: 0, brokerIds: [1, 1] }]);
    await replicas("no replicas of a partition", [{ partitionIndex: 0, brokerIds: [] }]);
    await replicas("different numbers of replicas", [
      { partitionIndex: 0, brokerIds: [1, 2] },
      { partitionIndex: 1, brokerIds: [1] },
    ]);
    const config = (key: string, value: string | null) =>
      asked(`${key} = ${value}`, [topic(name("bad"), { configs: [{ name: key, value }] })], true);
    await config("no.such.key", "1");
    await config("", "");
    await config("retention.ms", "soon");
    await config("retention.ms", "-2");
    await config("retention.ms", null);
    await config("cleanup.policy", "shred");
    await config("cleanup.policy", "");
    await config("compression.type", "rar");
    await config("min.insync.replicas", "0");
    await config("segment.bytes", "1");
    await config("message.timestamp.type", "");
    await config("unclean.leader.election.enable", "maybe");
    await config("remote.storage.enable", "true");
    await asked(
      "a key twice",
      [
        topic(name("bad"), {
          configs: [
            { name: "retention.ms", value: "1" },
            { name: "retention.ms", value: "2" },
          ],
        }),
      ],
      true,
    );
    await target.observe("a timeout of 0", 1, "CreateTopics", version, {
      topics: [topic(name(""))],
      timeoutMs: 0,
      validateOnly: true,
    });
  }
}

async function tell(target: Target): Promise<void> {
  const id = await target.topic("told", { partitions: 3 });
  const name = target.name("told");
  const known = { name, topicId: ZERO_UUID };
  for (const version of versionsOf("Metadata")) {
    const asked = (
      label: string,
      topics: RequestInputs["Metadata"]["topics"],
      options: Partial<RequestInputs["Metadata"]> = {},
    ) => target.observe(label, 2, "Metadata", version, { ...metadataOf([]), topics, ...options });
    await asked("one topic", [known]);
    await asked("with operations", [known], { includeTopicAuthorizedOperations: true });
    await asked("the same twice", [known, known]);
    const other = (other: string, topicId = ZERO_UUID) => ({ name: other, topicId });
    const creates = version < 4;
    if (!creates) await asked("one that is not there", [other("nowhere")]);
    if (!creates)
      await asked("one that is not there, beside one that is", [other("nowhere"), known]);
    for (const illegal of ["", "..", "a b", LONG]) {
      await asked(`a name of ${illegal === LONG ? "250 characters" : JSON.stringify(illegal)}`, [
        other(illegal),
      ]);
    }
    if (version >= 12) {
      await asked("by id", [{ name: null, topicId: id }]);
      await asked("by an id that nobody has", [{ name: null, topicId: UNKNOWN_ID }]);
      await asked("by the id of zeros", [{ name: null, topicId: ZERO_UUID }]);
      await asked("by id and by name", [{ name: null, topicId: id }, known]);
      await asked("by an id with a name that is another's", [other("nowhere", id)]);
    }
  }
  const made = target.name("made");
  await target.observe("one that is made by asking", 2, "Metadata", 9, {
    ...metadataOf([made]),
    allowAutoTopicCreation: true,
  });
  await target.settled(made, 6);
}

async function describe(target: Target): Promise<void> {
  const name = target.name("told");
  const asked = (
    label: string,
    names: readonly string[],
    options: Partial<RequestInputs["DescribeTopicPartitions"]> = {},
  ) =>
    target.observe(label, 3, "DescribeTopicPartitions", 0, {
      topics: names.map((one) => ({ name: one })),
      responsePartitionLimit: 2_000,
      cursor: null,
      ...options,
    });
  await asked("one topic", [name]);
  await asked("the same twice", [name, name]);
  await asked("one that is not there", ["nowhere"]);
  await asked("a name that is illegal", ["a b"]);
  await asked("an empty name", [""]);
  await asked("two, one partition at a time", [name, target.name("taken")], {
    responsePartitionLimit: 1,
  });
  await asked("a limit of 0", [name], { responsePartitionLimit: 0 });
  await asked("a limit of -1", [name], { responsePartitionLimit: -1 });
  await asked("from a cursor on", [name], { cursor: { topicName: name, partitionIndex: 1 } });
  await asked("from a cursor behind the end", [name], {
    cursor: { topicName: name, partitionIndex: 9 },
  });
  await asked("from a negative cursor", [name], {
    cursor: { topicName: name, partitionIndex: -1 },
  });
  await asked("from a cursor that is before it", [name], {
    cursor: { topicName: "a", partitionIndex: 1 },
  });
  await asked("from a cursor that is behind it", [name], {
    cursor: { topicName: "zzz", partitionIndex: 0 },
  });
}

async function widen(target: Target): Promise<void> {
  for (const version of versionsOf("CreatePartitions")) {
    const plain = `wide${version}-`;
    await target.topic(plain);
    const asked = (
      label: string,
      topics: RequestInputs["CreatePartitions"]["topics"],
      validateOnly = false,
    ) =>
      target.observe(label, 1, "CreatePartitions", version, {
        topics,
        timeoutMs: TIMEOUT_MS,
        validateOnly,
      });
    const one = (
      count: number,
      assignments: readonly number[][] | null = null,
      name = target.name(plain),
    ) => ({ name, count, assignments: assignments?.map((brokerIds) => ({ brokerIds })) ?? null });
    await asked("three, validated only", [one(3)], true);
    await asked("two", [one(2, [[2, 3, 1]])]);
    await asked("two again", [one(2)]);
    await asked("fewer", [one(1)]);
    await asked("0", [one(0)]);
    await asked("-1", [one(-1)]);
    await asked("none", []);
    await asked("of one that is not there", [one(3, null, "nowhere")]);
    await asked("of an empty name", [one(3, null, "")]);
    await asked("the same twice", [one(3), one(3)]);
    await asked("too few replicas given", [one(4, [[1, 2, 3]])], true);
    await asked(
      "too many replicas given",
      [
        one(3, [
          [1, 2, 3],
          [1, 2, 3],
        ]),
      ],
      true,
    );
    await asked("an empty list of replicas", [one(3, [])], true);
    await asked("another number of replicas", [one(3, [[1, 2]])], true);
    await asked("a replica that is no broker", [one(3, [[1, 2, 99]])], true);
    await asked("a replica twice", [one(3, [[1, 1, 2]])], true);
  }
}

async function elect(target: Target): Promise<void> {
  await target.topic("elected", { partitions: 2 });
  const name = target.name("elected");
  for (const version of versionsOf("ElectLeaders")) {
    const asked = (
      label: string,
      topicPartitions: RequestInputs["ElectLeaders"]["topicPartitions"],
      electionType = 0,
    ) =>
      target.observe(label, 1, "ElectLeaders", version, {
        electionType,
        topicPartitions,
        timeoutMs: TIMEOUT_MS,
      });
    await asked("preferred, where it leads", [{ topic: name, partitions: [0] }]);
    await asked("unclean, where one leads", [{ topic: name, partitions: [0] }], 1);
    await asked("of no partition", [{ topic: name, partitions: [] }]);
    await asked("of a partition that it has not", [{ topic: name, partitions: [9] }]);
    await asked("of a topic that is not there", [{ topic: "nowhere", partitions: [0] }]);
    await asked("of a partition twice", [{ topic: name, partitions: [0, 0] }]);
    await asked("a type that nobody knows", [{ topic: name, partitions: [0] }], 9);
    await asked("none", []);
    if (version >= 1) await asked("all that need it", null);
  }
}

async function reassign(target: Target): Promise<void> {
  await target.topic("moved", { partitions: 2 });
  const name = target.name("moved");
  for (const version of versionsOf("AlterPartitionReassignments")) {
    const asked = (
      label: string,
      partitions: readonly { partitionIndex: number; replicas: readonly number[] | null }[],
      topicName = name,
    ) =>
      target.observe(label, 1, "AlterPartitionReassignments", version, {
        timeoutMs: TIMEOUT_MS,
        allowReplicationFactorChange: true,
        topics: [{ name: topicName, partitions }],
      });
    await asked("to where it is", [{ partitionIndex: 0, replicas: [1, 2, 3] }]);
    await asked("cancelled where nothing moves", [{ partitionIndex: 0, replicas: null }]);
    await asked("of a partition that it has not", [{ partitionIndex: 9, replicas: [1, 2, 3] }]);
    await asked("of a topic that is not there", [{ partitionIndex: 0, replicas: [1] }], "nowhere");
    await asked("to no replica", [{ partitionIndex: 0, replicas: [] }]);
    await asked("to a broker that is none", [{ partitionIndex: 0, replicas: [1, 2, 99] }]);
    await asked("to a negative one", [{ partitionIndex: 0, replicas: [-1] }]);
    await asked("to the same broker twice", [{ partitionIndex: 0, replicas: [1, 1] }]);
    await asked("of a partition twice", [
      { partitionIndex: 0, replicas: [1, 2, 3] },
      { partitionIndex: 0, replicas: [1, 2, 3] },
    ]);
    await target.observe("of nothing", 1, "AlterPartitionReassignments", version, {
      timeoutMs: TIMEOUT_MS,
      topics: [],
    });
    if (version >= 1) {
      await target.observe(
        "to fewer replicas, which is not allowed",
        1,
        "AlterPartitionReassignments",
        version,
        {
          timeoutMs: TIMEOUT_MS,
          allowReplicationFactorChange: false,
          topics: [{ name, partitions: [{ partitionIndex: 1, replicas: [2] }] }],
        },
      );
    }
  }
  const listed = (label: string, topics: RequestInputs["ListPartitionReassignments"]["topics"]) =>
    target.observe(label, 1, "ListPartitionReassignments", 0, { timeoutMs: TIMEOUT_MS, topics });
  await listed("all, where nothing moves", null);
  await listed("of a topic", [{ name, partitionIndexes: [0, 1] }]);
  await listed("of a partition that it has not", [{ name, partitionIndexes: [9] }]);
  await listed("of a topic that is not there", [{ name: "nowhere", partitionIndexes: [0] }]);
  await listed("of nothing", []);
}

async function remove(target: Target): Promise<void> {
  for (const version of versionsOf("DeleteTopics")) {
    const make = async (plain: string) => {
      const topicId = await target.topic(`${plain}${version}`);
      return { name: target.name(`${plain}${version}`), topicId };
    };
    const asked = (
      label: string,
      topics: readonly { name: string | null; topicId: string }[],
      timeoutMs = TIMEOUT_MS,
    ) =>
      target.observe(label, 1, "DeleteTopics", version, {
        topics,
        topicNames: topics.map(({ name }) => name ?? ""),
        timeoutMs,
      });
    const named = (name: string) => ({ name, topicId: ZERO_UUID });
    const first = await make("gone");
    await asked("one", [named(first.name)]);
    await asked("one that is gone", [named(first.name)]);
    await asked("none", []);
    await asked("an empty name", [named("")]);
    await asked("an illegal name", [named("a b")]);
    const twice = await make("gonetwice");
    await asked("the same twice", [named(twice.name), named(twice.name)]);
    const late = await make("late");
    await asked("one that is there and one that is not", [named(late.name), named("nowhere")]);
    if (version >= 6) {
      const byId = await make("byid");
      await asked("an id and a name at once", [byId]);
      const both = await make("both");
      await asked("by id and by name in two", [
        { name: null, topicId: both.topicId },
        named(both.name),
      ]);
      await asked("by id", [{ name: null, topicId: byId.topicId }]);
      await asked("by an id that is gone", [{ name: null, topicId: byId.topicId }]);
      await asked("by an id that nobody has", [{ name: null, topicId: UNKNOWN_ID }]);
      await asked("neither name nor id", [{ name: null, topicId: ZERO_UUID }]);
    }
  }
}
