/**
 * A machine that belongs to nobody: opens streams to brokers and says on them what it likes, as an
 * old process, a misled one or an intruder would.
 */
import type { ControllerRequestName } from "../../../src/metadata/commands.ts";
import type { ControllerDown } from "../../../src/metadata/session-messages.ts";
import type { ReplicationDown, ReplicationUp } from "../../../src/replica/messages.ts";
import { SimNode } from "../world/sim-node.ts";
import { createIncarnation } from "../world/sim-ports.ts";
import type { Story } from "./story.ts";

const INTERNAL_PORT = 9_392;

export interface FollowerStory {
  readonly heard: ReplicationDown[];
  readonly ended: boolean;
  say(message: ReplicationUp): void;
}

export class Stranger {
  readonly #story: Story;
  readonly #network;
  #asked = 0;

  constructor(story: Story) {
    const { world, cluster } = story;
    this.#story = story;
    const node = new SimNode({ world, name: "stranger", prng: world.prng.fork("stranger") });
    cluster.network.attach(node);
    this.#network = createIncarnation(node, cluster.network).ports.network;
  }

  /** Asks the controller on `to`; gives the body of the reply, or the code of the refusal. */
  async ask(to: number, name: ControllerRequestName, body: unknown): Promise<unknown> {
    const stream = this.#network.open(this.#address(to), "controller");
    const id = ++this.#asked;
    let reply: Extract<ControllerDown, { readonly type: "reply" }> | undefined;
    stream.onMessage = (message) => {
      if (message.type === "reply") reply = message;
    };
    stream.send({ type: "request", id, name, body, timeoutMs: 5_000 });
    await this.#story.until(`the stranger is answered on ${name}`, () => reply !== undefined);
    stream.close();
    return reply?.error?.code ?? reply?.body;
  }

  /** A replication stream, as a follower opens it. */
  follow(to: number): FollowerStory {
    const stream = this.#network.open(this.#address(to), "replication");
    const story = {
      heard: [] as ReplicationDown[],
      ended: false,
      say: (message: ReplicationUp): void => {
        stream.send(message);
      },
    };
    stream.onMessage = (message) => {
      story.heard.push(message);
    };
    stream.onEnd = () => {
      story.ended = true;
    };
    return story;
  }

  #address(to: number) {
    return { host: this.#story.cluster.nodeOf(to), port: INTERNAL_PORT };
  }
}
