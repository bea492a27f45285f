import { describe, expect, it } from "vitest";
import { brokerEnvironment, isBrokerVariable } from "../../../src/main/environment.ts";
import { toOttlaError } from "../../../src/model/errors.ts";
import { parseBrokerConfig } from "../../../src/model/parse-broker-config.ts";

function properties(environment: Record<string, string>): Record<string, string> {
  return Object.fromEntries(brokerEnvironment(environment).properties);
}

function refusal(environment: Record<string, string>): { field: unknown; message: string } {
  try {
    brokerEnvironment(environment);
  } catch (thrown) {
    const { code, field, message } = toOttlaError(thrown);
    expect(code).toBe("INVALID_CONFIG");
    return { field, message };
  }
  throw new Error("nothing was refused");
}

describe("brokerEnvironment", () => {
  it("maps _ to ., __ to _ and ___ to -, under either prefix", () => {
    expect(
      properties({
        OTTLA_LOG_DIRS: "/data",
        KAFKA_NODE_ID: "3",
        // A listener's own key is in no table, so that its name may have any signs.
        KAFKA_LISTENER_NAME_MY__OWN_A___B: "x",
        OTTLA_BOOTSTRAP_SERVERS: "a:1",
        PATH: "/bin",
        OTTLAX: "no",
        kafka_node_id: "7",
      }),
    ).toEqual({ "log.dirs": "/data", "node.id": "3", "listener.name.my_own.a-b": "x" });
  });

  it("takes the same value twice, and refuses two", () => {
    expect(properties({ OTTLA_NODE_ID: "1", KAFKA_NODE_ID: "1" })).toEqual({ "node.id": "1" });
    const { message } = refusal({ OTTLA_NODE_ID: "1", KAFKA_NODE_ID: "2" });
    expect(message).toBe(
      'OTTLA_NODE_ID is "1" and KAFKA_NODE_ID is "2"; both mean node.id: give one of them',
    );
  });

  it("has CLUSTER_ID without a prefix where anything else configures a broker", () => {
    expect(properties({ CLUSTER_ID: "of somebody else" })).toEqual({});
    expect(properties({ CLUSTER_ID: "abc", KAFKA_NODE_ID: "1" })).toEqual({
      "node.id": "1",
      "cluster.id": "abc",
    });
    expect(refusal({ CLUSTER_ID: "abc", OTTLA_CLUSTER_ID: "def" }).message).toContain("cluster.id");
  });

  it("refuses an unknown key with the variable and the nearest key", () => {
    expect(refusal({ KAFKA_ADVERTISED_LISTENER: "GRPC://a:1" })).toEqual({
      field: "KAFKA_ADVERTISED_LISTENER",
      message:
        'KAFKA_ADVERTISED_LISTENER in the environment: unknown broker configuration key "advertised.listener"; did you mean advertised.listeners?',
    });
    expect(refusal({ OTTLA_NODE_ID: "one" }).message).toContain("OTTLA_NODE_ID");
  });

  it("tells what only a Java machine would read", () => {
    const environment = {
      KAFKA_HEAP_OPTS: "-Xmx1g",
      KAFKA_JMX_PORT: "9999",
      KAFKA_LOG4J_ROOT_LOGLEVEL: "INFO",
      KAFKA_NODE_ID: "1",
    };
    const { ignored, properties: given } = brokerEnvironment(environment);
    expect(ignored).toEqual(["KAFKA_HEAP_OPTS", "KAFKA_JMX_PORT", "KAFKA_LOG4J_ROOT_LOGLEVEL"]);
    expect([...given.keys()]).toEqual(["node.id"]);
  });

  it("takes what is written for Kafka's image as it is", () => {
    const { properties: given } = brokerEnvironment({
      KAFKA_NODE_ID: "1",
      KAFKA_PROCESS_ROLES: "broker,controller",
      KAFKA_LISTENERS: "PLAINTEXT://:19092,CONTROLLER://:9093,PLAINTEXT_HOST://:9092",
      KAFKA_ADVERTISED_LISTENERS: "PLAINTEXT://broker-1:19092,PLAINTEXT_HOST://localhost:29092",
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP:
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
      KAFKA_CONTROLLER_LISTENER_NAMES: "CONTROLLER",
      KAFKA_INTER_BROKER_LISTENER_NAME: "PLAINTEXT",
      KAFKA_CONTROLLER_QUORUM_VOTERS: "1@broker-1:9093,2@broker-2:9093,3@broker-3:9093",
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: "3",
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: "0",
      KAFKA_LOG_DIRS: "/tmp/kraft-combined-logs",
      CLUSTER_ID: "4L6g3nShT-eMCtK--X86sw",
    });
    const config = parseBrokerConfig(given);
    expect(config.interBrokerListenerName).toBe("CONTROLLER");
    expect(config.clusterId).toBe("4L6g3nShT-eMCtK--X86sw");
    expect(config.listeners.map(({ name, protocol }) => `${name} ${protocol}`)).toEqual([
      "PLAINTEXT PLAINTEXT",
      "CONTROLLER INTERNAL",
      "PLAINTEXT_HOST PLAINTEXT",
    ]);
  });

  it("passes over the addresses of services that are named so", () => {
    expect(
      properties({
        KAFKA_SERVICE_HOST: "10.0.0.1",
        KAFKA_SERVICE_PORT: "9092",
        KAFKA_SERVICE_PORT_BROKER: "9092",
        KAFKA_PORT: "tcp://10.0.0.1:9092",
        OTTLA_PORT_9192_TCP: "tcp://10.0.0.1:9192",
        OTTLA_PORT_9192_TCP_ADDR: "10.0.0.1",
        OTTLA_PORT_9192_TCP_PROTO: "tcp",
      }),
    ).toEqual({});
  });

  it("knows what to keep from brokers that have a configuration of their own", () => {
    expect(["OTTLA_NODE_ID", "KAFKA_NODE_ID", "CLUSTER_ID"].every(isBrokerVariable)).toBe(true);
    expect(isBrokerVariable("PATH")).toBe(false);
  });
});
