/**
 * What turns inside a broker, and the order in which it starts and stops: logs, metadata log,
 * controller, sessions, replicas, and the listener for the other brokers.
 */

import { assert } from "../base/assert.ts";
import { Controller } from "../controller/controller.ts";
import type { RegisterBroker } from "../metadata/commands.ts";
import type { MetadataImage } from "../metadata/image.ts";
import { METADATA_VERSION } from "../metadata/record-codec.ts";
import type { Endpoint } from "../metadata/records.ts";
import type { BrokerConfig } from "../model/broker-config.ts";
import { OttlaError } from "../model/errors.ts";
import { type ClusterId, type IncarnationId, NONE, uuidFrom } from "../model/ids.ts";
import type { PeerAddress, PeerListener } from "../ports/peer-network.ts";
import type { Ports } from "../ports/ports.ts";
import { ControllerSession } from "../runtime/controller-session.ts";
import type { LeaderReplica } from "../runtime/leader-replica.ts";
import { MetadataLoader } from "../runtime/metadata-loader.ts";
import { RaftDriver } from "../runtime/raft-driver.ts";
import { ReplicaManager } from "../runtime/replica-manager.ts";
import { LevelLogs } from "../storage/level-logs.ts";
import { DEFAULT_LOG_CLEANER_CONFIG } from "../storage/log-cleaner.ts";
import { Configs } from "./configs.ts";
import { type LeaderLookup, serveOffsets } from "./groups/answer-offsets.ts";

/** Storage that hangs for so long makes the broker unfit to lead. */
const STORAGE_HANGS_MS = 2_000;
/** How long a stopping Raft leader waits for a successor. */
const TRANSFER_MS = 500;
const TRANSFER_POLL_MS = 20;
const LOOPBACK = "127.0.0.1";

interface Opened {
  readonly config: BrokerConfig;
  readonly incarnationId: IncarnationId;
  readonly logs: LevelLogs;
  readonly loader: MetadataLoader;
  readonly metadataLog: RaftDriver;
  readonly controller: Controller | undefined;
}

export class Machinery {
  readonly config: BrokerConfig;
  readonly configs: Configs;
  readonly incarnationId: IncarnationId;
  readonly logs: LevelLogs;
  readonly loader: MetadataLoader;
  readonly metadataLog: RaftDriver;
  readonly controller: Controller | undefined;
  readonly session: ControllerSession;
  readonly replicas: ReplicaManager;
  readonly leaderHere: LeaderLookup = (topicId, partition) =>
    this.replicas.get(topicId, partition)?.leader;
  /** Called when a replica here begins to lead. */
  onLeaderStarted: (leader: LeaderReplica) => void = () => undefined;
  readonly #ports: Ports;
  #listener: PeerListener | undefined;
  #replicasStarted = false;
  #registeredBefore = false;
  /** Whether the controller has had this life of the broker unfenced. */
  #hasServed = false;
  #clusterId: ClusterId | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(ports: Ports, opened: Opened) {
    const { config, incarnationId, logs, loader } = opened;
    this.#ports = ports;
    this.config = config;
    this.incarnationId = incarnationId;
    this.logs = logs;
    this.loader = loader;
    this.metadataLog = opened.metadataLog;
    this.controller = opened.controller;
    this.configs = new Configs(config, () => loader.image);
    this.session = new ControllerSession(ports, {
      brokerId: config.nodeId,
      incarnationId,
      voters: config.voters,
      heartbeatIntervalMs: config.heartbeatIntervalMs,
      sessionTimeoutMs: config.sessionTimeoutMs,
      requestTimeoutMs: config.requestTimeoutMs,
      clockOffsetMaxMs: config.clockOffsetMaxMs,
      registration: () => this.#registration(),
      condition: () => ({
        appliedIndex: loader.image.index,
        wantFence:
          !this.#replicasStarted ||
          this.#waitsForItsVote() ||
          logs.oldestPendingMs() > STORAGE_HANGS_MS,
      }),
      onRegistered: (brokerEpoch, index) => {
        this.#registeredBefore = true;
        ports.logger.info("registered with the controller", { brokerEpoch, index });
      },
    });
    this.replicas = new ReplicaManager(ports, {
      self: config.nodeId,
      incarnationId,
      logs,
      interBrokerListenerName: config.interBrokerListenerName,
      lagTimeMaxMs: config.replicaLagTimeMaxMs,
      retentionCheckIntervalMs: config.retentionCheckIntervalMs,
      producerIdExpirationMs: config.producerIdExpirationMs,
      brokerEpoch: () => this.session.brokerEpoch,
      topicConfig: (image, topic) => this.configs.topic(image, topic),
      request: (name, body) => this.session.request(name, body, config.requestTimeoutMs),
      onStarted: () => {
        this.#replicasStarted = true;
        this.session.sendHeartbeats();
      },
      onLeaderStarted: (leader) => this.onLeaderStarted(leader),
    });
  }

  /**
   * Opens the directories, joins the metadata quorum, and begins to register. Settles before the
   * broker is registered: a cluster's first brokers wait for each other.
   */
  static async start(ports: Ports, config: BrokerConfig): Promise<Machinery> {
    let configs: Configs | undefined;
    const logs = await LevelLogs.open(ports, {
      brokerId: config.nodeId,
      logDirs: config.logDirs,
      // No log is compacted before the metadata says so, and by then they are there.
      cleanerConfig: () => configs?.logCleaner() ?? DEFAULT_LOG_CLEANER_CONFIG,
    });
    let opened: Awaited<ReturnType<typeof openMetadata>> | undefined;
    let machinery: Machinery | undefined;
    try {
      const { clusterId } = logs;
      if (config.clusterId !== null && clusterId !== undefined && clusterId !== config.clusterId) {
        throw otherCluster(`log.dirs belong to cluster ${clusterId}`, config.clusterId);
      }
      const incarnationId = uuidFrom(ports.random.bytes(16));
      opened = await openMetadata(ports, config, logs);
      machinery = new Machinery(ports, { ...opened, config, incarnationId, logs });
      configs = machinery.configs;
      await machinery.#begin();
      return machinery;
    } catch (error) {
      if (machinery !== undefined) {
        machinery.session.close();
        await machinery.replicas.close();
        await machinery.#listener?.close();
      }
      opened?.controller?.close();
      await opened?.metadataLog.close();
      await logs.close({ cleanShutdownEpoch: undefined });
      throw error;
    }
  }

  /** Where the internal listener is bound. */
  get internalAddress(): PeerAddress {
    if (this.#listener === undefined) throw new OttlaError("CLOSED", "nothing is bound yet");
    return this.#listener.address;
  }

  /**
   * Hands leadership over, then stops; with `controlled` false it stops at once. Idempotent.
   */
  stop(options: { readonly controlled: boolean }): Promise<void> {
    this.#stopping ??= this.#stop(options.controlled);
    return this.#stopping;
  }

  /** "" once the broker is registered in this life, and unfenced. */
  notReadyBecause(): string {
    const { image } = this.loader;
    const own = image.brokers.get(this.config.nodeId);
    if (image.clusterId === undefined) return "the cluster has not formed yet";
    if (own?.incarnationId !== this.incarnationId) return "the broker is not registered yet";
    if (!this.#replicasStarted) return "replicas are being opened";
    if (this.#waitsForItsVote())
      return "the broker is not a voter of the metadata quorum again yet";
    return own.fenced ? "the controller keeps the broker fenced" : "";
  }

  /**
   * A voter that lost its disk is counted in for partitions only once it counts as a voter: whoever
   * takes the next broker down when all replicas are in sync must still find a majority there. Once
   * it has served in this life the question is settled.
   */
  #waitsForItsVote(): boolean {
    if (this.#hasServed) return false;
    const { nodeId, voters } = this.config;
    if (voters.every(({ id }) => id !== nodeId)) return false;
    const { role } = this.metadataLog.status();
    return role === "observer" || role === "unformed";
  }

  async #begin(): Promise<void> {
    const { config, loader } = this;
    this.#clusterId = this.logs.clusterId;
    loader.subscribe((_delta, image) => this.#onMetadata(image));
    this.#onMetadata(loader.image);
    this.#listener = await this.#ports.network.listen(internalListener(config), {
      raft: (stream) => this.metadataLog.accept(stream),
      controller: (stream) => {
        if (this.controller === undefined) stream.close();
        else this.controller.accept(stream);
      },
      replication: (stream) => this.replicas.accept(stream),
      offsets: (stream) => serveOffsets(this.#ports, stream, this.leaderHere),
    });
    // The quorum forms meanwhile; the broker registers once it knows what it has lost.
    await this.logs.recover();
    this.session.start();
  }

  #onMetadata(image: MetadataImage): void {
    if (image.clusterId !== undefined) this.#joinCluster(image.clusterId);
    const own = image.brokers.get(this.config.nodeId);
    if (own?.incarnationId === this.incarnationId && !own.fenced) this.#hasServed = true;
    this.replicas.onMetadata(image);
  }

  #joinCluster(clusterId: ClusterId): void {
    if (this.#clusterId === clusterId) return;
    const own = this.#clusterId ?? this.config.clusterId ?? clusterId;
    if (own !== clusterId) {
      const whose = this.#clusterId === undefined ? "cluster.id is" : "log.dirs belong to cluster";
      this.#ports.fatal(
        "the broker is of another cluster",
        otherCluster(`${whose} ${own}`, clusterId),
      );
      return;
    }
    this.#clusterId = clusterId;
    this.metadataLog.setClusterId(clusterId);
    this.logs.adoptCluster(clusterId).catch((error: unknown) => {
      this.#ports.fatal("the data directory could not be marked with its cluster", error);
    });
  }

  #registration(): RegisterBroker {
    const { config, logs } = this;
    return {
      brokerId: config.nodeId,
      incarnationId: this.incarnationId,
      clusterId: this.#clusterId,
      endpoints: this.#endpoints(),
      rack: config.rack,
      directories: logs.directories,
      features: [METADATA_VERSION, METADATA_VERSION],
      // What the last life wrote down vouches for this one's beginning alone.
      cleanShutdownEpoch: this.#registeredBefore ? NONE : logs.cleanShutdownEpoch,
      lostReplicas: logs.lostReplicas,
    };
  }

  /** Advertised; a listener on every interface is reached at the host that the voters know. */
  #endpoints(): readonly Endpoint[] {
    const { config } = this;
    const own = config.voters.find(({ id }) => id === config.nodeId);
    const reachable = own?.host ?? LOOPBACK;
    return config.advertisedListeners.map(({ name, host, port }) => ({
      name,
      host: host === "" ? reachable : host,
      port:
        name === config.interBrokerListenerName && port === 0 ? this.internalAddress.port : port,
    }));
  }

  async #stop(controlled: boolean): Promise<void> {
    const { config, session, logs, metadataLog, controller } = this;
    const { logger, timers, clock } = this.#ports;
    if (controlled && config.controlledShutdownMaxMs > 0) {
      const moved = await session.requestShutdown(config.controlledShutdownMaxMs);
      logger.info(moved ? "leaders were moved away" : "stopping without the controller's consent");
    }
    const { brokerEpoch } = session;
    await this.replicas.close();
    await logs.close({ cleanShutdownEpoch: brokerEpoch === NONE ? undefined : brokerEpoch });
    if (controlled && metadataLog.status().role === "leader") {
      metadataLog.transferLeadership();
      const untilMs = clock.monotonicMs() + TRANSFER_MS;
      while (metadataLog.status().role === "leader" && clock.monotonicMs() < untilMs) {
        await timers.sleep(TRANSFER_POLL_MS);
      }
    }
    session.close();
    controller?.close();
    await metadataLog.close();
    await this.#listener?.close();
  }
}

async function openMetadata(
  ports: Ports,
  config: BrokerConfig,
  logs: LevelLogs,
): Promise<Pick<Opened, "loader" | "metadataLog" | "controller">> {
  const loader = new MetadataLoader({ ports });
  const [dataDirectory] = config.logDirs;
  assert(dataDirectory !== undefined, "log.dirs names at least one directory");
  const votes = config.voters.some(({ id }) => id === config.nodeId);
  let metadataLog: RaftDriver | undefined;
  const log = (): RaftDriver => {
    assert(metadataLog !== undefined, "the controller acts only once the metadata log is open");
    return metadataLog;
  };
  // Before the log opens: a sole voter leads as soon as it has.
  const controller = votes ? new Controller({ ports, config, loader, log }) : undefined;
  try {
    metadataLog = await RaftDriver.open(ports, {
      brokerId: config.nodeId,
      dataDirectory,
      voters: config.voters,
      electionTimeoutMs: config.electionTimeoutMs,
      reconnectGraceMs: config.sessionReconnectMs,
      snapshotBytes: config.metadataMaxRecordBytesBetweenSnapshots,
      clusterId: logs.clusterId,
      stateMachine: loader,
    });
    return { loader, metadataLog, controller };
  } catch (error) {
    controller?.close();
    throw error;
  }
}

function otherCluster(whose: string, clusterId: ClusterId): OttlaError {
  return new OttlaError("INCONSISTENT_CLUSTER_ID", `${whose}, this is cluster ${clusterId}`, {
    field: "cluster.id",
  });
}

function internalListener(config: BrokerConfig): PeerAddress {
  const name = config.interBrokerListenerName;
  const listener = config.listeners.find((candidate) => candidate.name === name);
  assert(listener !== undefined, `listeners has no ${name}, which parsing refuses`);
  return { host: listener.host, port: listener.port };
}
