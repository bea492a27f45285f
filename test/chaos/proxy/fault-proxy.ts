/**
 * A TCP proxy for one directed link that can be slow, stand still, be cut, or be half open: what a
 * packet filter cannot do. Half open: the far end is gone and the near end is never told; what it
 * sends is swallowed.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

export type LinkMode = "open" | "stall" | "reset" | "half-open";

export interface LinkState {
  readonly mode: LinkMode;
  /** Every byte is passed on so much later, each way. */
  readonly delayMs: number;
}

interface Link {
  readonly near: Socket;
  readonly far: Socket;
}

/** Bytes that one connection may have on their way before its sender is held back. */
const LATE_BYTES_MAX = 8 * 1024 * 1024;

export class FaultProxy {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #links = new Set<Link>();
  #state: LinkState = { mode: "open", delayMs: 0 };

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = createServer({ noDelay: true }, (near) => this.#accept(near));
  }

  static async listen(options: {
    readonly host: string;
    readonly target: { readonly host: string; readonly port: number };
  }): Promise<FaultProxy> {
    const proxy = new FaultProxy(options.target);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(0, options.host, () => resolve());
    });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  get connections(): number {
    return this.#links.size;
  }

  set(state: LinkState): void {
    this.#state = state;
    for (const link of this.#links) this.#apply(link);
  }

  close(): void {
    this.#server.close();
    for (const { near, far } of this.#links) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    this.#links.clear();
  }

  #accept(near: Socket): void {
    if (this.#state.mode === "reset") {
      near.on("error", () => undefined);
      near.resetAndDestroy();
      return;
    }
    const far = connect({ ...this.#target, noDelay: true });
    const link = { near, far };
    this.#links.add(link);
    this.#pass(link, near, far);
    this.#pass(link, far, near);
    this.#apply(link);
  }

  /** One direction. */
  #pass(link: Link, from: Socket, to: Socket): void {
    const late: { readonly dueMs: number; readonly bytes: Buffer }[] = [];
    let lateBytes = 0;
    // In order, whatever the delay was when each piece came: one that came later waits for it.
    const deliver = (): void => {
      for (let next = late[0]; next !== undefined; next = late[0]) {
        const restMs = next.dueMs - performance.now();
        if (restMs > 0) {
          setTimeout(deliver, Math.ceil(restMs));
          return;
        }
        late.shift();
        lateBytes -= next.bytes.length;
        if (this.#state.mode !== "half-open") this.#write(from, to, next.bytes);
      }
      if (this.#state.mode === "open" && !to.writableNeedDrain) from.resume();
    };
    from.on("data", (bytes: Buffer) => {
      if (this.#state.mode === "half-open") return;
      const { delayMs } = this.#state;
      if (delayMs === 0 && late.length === 0) {
        this.#write(from, to, bytes);
        return;
      }
      late.push({ dueMs: performance.now() + delayMs, bytes });
      lateBytes += bytes.length;
      if (lateBytes > LATE_BYTES_MAX) from.pause();
      if (late.length === 1) setTimeout(deliver, delayMs);
    });
    from.on("error", () => undefined);
    from.on("close", () => {
      // Half open: the other end hears nothing of it.
      if (this.#state.mode === "half-open" && from === link.far) return;
      this.#links.delete(link);
      to.destroy();
    });
  }

  #write(from: Socket, to: Socket, bytes: Buffer): void {
    if (to.destroyed || to.write(bytes)) return;
    from.pause();
    to.once("drain", () => {
      if (this.#state.mode !== "stall") from.resume();
    });
  }

  #apply(link: Link): void {
    const { mode } = this.#state;
    if (mode === "stall") {
      link.near.pause();
      link.far.pause();
      return;
    }
    link.near.resume();
    link.far.resume();
    if (mode === "half-open") link.far.destroy();
    if (mode === "reset") {
      link.near.resetAndDestroy();
      link.far.resetAndDestroy();
    }
  }
}
