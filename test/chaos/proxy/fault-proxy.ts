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
    let late = 0;
    from.on("data", (bytes: Buffer) => {
      if (this.#state.mode === "half-open") return;
      const { delayMs } = this.#state;
      if (delayMs === 0 && late === 0) {
        this.#write(from, to, bytes);
        return;
      }
      // Timers of one length fire in the order in which they were set; what comes after the delay
      // has been lifted waits for what is still late.
      late += bytes.length;
      if (late > LATE_BYTES_MAX) from.pause();
      setTimeout(() => {
        late -= bytes.length;
        if (late <= LATE_BYTES_MAX && this.#state.mode === "open") from.resume();
        if (this.#state.mode !== "half-open") this.#write(from, to, bytes);
      }, delayMs);
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
