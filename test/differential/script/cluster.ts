/** What the cluster is: versions, brokers, quorum, directories, features; and frames that are none. */
import { metadataOf, type Target, versionsOf } from "../target.ts";

export async function clusterScript(target: Target): Promise<void> {
  await versions(target);
  await frames(target);
  await cluster(target);
  await quorum(target);
  await directories(target);
  await features(target);
}

async function versions(target: Target): Promise<void> {
  const good = { clientSoftwareName: "differential", clientSoftwareVersion: "1.0" };
  for (const version of versionsOf("ApiVersions")) {
    await target.observe("what is served", 1, "ApiVersions", version, good);
    // Versions before the third carry no names.
    if (version < 3) continue;
    const names = {
      "an empty name": "",
      "a name with a space": "a b",
      "a name that ends in a dot": "a.",
    };
    for (const [label, clientSoftwareName] of Object.entries(names)) {
      await target.observe(label, 1, "ApiVersions", version, { ...good, clientSoftwareName });
    }
  }
  await target.observeFrame("a version that nobody knows", "ApiVersions", 99, bytes("00"));
  await target.observeFrame("a negative version", "ApiVersions", -1, new Uint8Array(0));
}

async function frames(target: Target): Promise<void> {
  const empty = new Uint8Array(0);
  await target.observeFrame("a version that nobody knows", "Metadata", 99, empty);
  await target.observeFrame("no body", "Metadata", 1, empty);
  await target.observeFrame("a list of 2^31-1 topics", "Metadata", 1, bytes("7fffffff"));
  await target.observeFrame("a list of -2 topics", "Metadata", 1, bytes("fffffffe"));
  await target.observeFrame(
    "an array that is null where none may be",
    "DeleteTopics",
    1,
    bytes("ffffffff00000000"),
  );
  await target.observeFrame(
    "a string that is null where none may be",
    "FindCoordinator",
    0,
    bytes("ffff"),
  );
  await target.observeFrame(
    "a string longer than the frame",
    "FindCoordinator",
    0,
    bytes("7fff61"),
  );
  await target.observeFrame("bytes behind the body", "Heartbeat", 0, bytes("0000000000000000ffff"));
  await target.observeFrame(
    "version 2, which is no more",
    "Produce",
    2,
    bytes("ffff00000000000000000000"),
  );
  await target.observeFrame(
    "version 3, which is no more",
    "Fetch",
    3,
    bytes("ffffffff000000000000000000000000"),
  );
  await target.observeFrame(
    "version 0, which is no more",
    "ListOffsets",
    0,
    bytes("ffffffff00000000"),
  );
  await target.observeFrame("version 1, which is no more", "OffsetCommit", 1, bytes("0000"));
}

async function cluster(target: Target): Promise<void> {
  for (const version of versionsOf("DescribeCluster")) {
    const asked = {
      includeClusterAuthorizedOperations: false,
      endpointType: 1,
      includeFencedBrokers: false,
    };
    await target.observe("brokers", 1, "DescribeCluster", version, asked);
    await target.observe("operations too", 2, "DescribeCluster", version, {
      ...asked,
      includeClusterAuthorizedOperations: true,
    });
    await target.observe("fenced ones too", 3, "DescribeCluster", version, {
      ...asked,
      includeFencedBrokers: true,
    });
    await target.observe("controllers, of a broker", 1, "DescribeCluster", version, {
      ...asked,
      endpointType: 2,
    });
    await target.observe("an endpoint type of 7", 1, "DescribeCluster", version, {
      ...asked,
      endpointType: 7,
    });
  }
  for (const version of versionsOf("Metadata")) {
    await target.observe("no topic but all brokers", 1, "Metadata", version, {
      // In version 0 no topic means all.
      ...metadataOf(version === 0 ? [".."] : []),
      includeClusterAuthorizedOperations: true,
    });
  }
}

async function quorum(target: Target): Promise<void> {
  const of = (topicName: string, ...partitions: number[]) => ({
    topics: [{ topicName, partitions: partitions.map((partitionIndex) => ({ partitionIndex })) }],
  });
  for (const version of versionsOf("DescribeQuorum")) {
    await target.observe(
      "of the metadata",
      1,
      "DescribeQuorum",
      version,
      of("__cluster_metadata", 0),
    );
    await target.observe(
      "of a partition that it has not",
      1,
      "DescribeQuorum",
      version,
      of("__cluster_metadata", 1),
    );
    await target.observe("of another topic", 1, "DescribeQuorum", version, of("other", 0));
    await target.observe("of none", 1, "DescribeQuorum", version, { topics: [] });
  }
}

async function directories(target: Target): Promise<void> {
  await target.topic("directories", { partitions: 2 });
  const name = target.name("directories");
  for (const version of versionsOf("DescribeLogDirs")) {
    const asked = (topics: { topic: string; partitions: number[] }[]) =>
      target.observe(`of ${told(topics, target)}`, 1, "DescribeLogDirs", version, { topics });
    await asked([{ topic: name, partitions: [0, 1] }]);
    await asked([{ topic: name, partitions: [7] }]);
    await asked([{ topic: name, partitions: [] }]);
    await asked([{ topic: "nowhere", partitions: [0] }]);
    await asked([{ topic: "", partitions: [0, 0] }]);
    await asked([]);
  }
}

async function features(target: Target): Promise<void> {
  const update = (feature: string, maxVersionLevel: number) => ({
    feature,
    maxVersionLevel,
    allowDowngrade: false,
    upgradeType: 1,
  });
  for (const version of versionsOf("UpdateFeatures")) {
    const asked = (label: string, ...featureUpdates: ReturnType<typeof update>[]) =>
      target.observe(label, 1, "UpdateFeatures", version, {
        timeoutMs: 10_000,
        featureUpdates,
        validateOnly: true,
      });
    await asked("nothing");
    await asked("a feature that nobody knows", update("no.such.feature", 1));
    await asked("a level that is too high", update("metadata.version", 32_000));
    await asked("an empty name", update("", 1));
  }
}

function told(topics: readonly { topic: string; partitions: number[] }[], target: Target): string {
  const names = topics.map(({ topic, partitions }) =>
    `${topic.replace(target.name(""), "")} ${partitions.join(", ")}`.trim(),
  );
  return names.length === 0 ? "an empty list" : names.map((name) => `"${name}"`).join(", ");
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}
