/** A group's members without manners: each call goes, as it is, to the broker that it is told. */
import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import { ottla } from "../../src/gen/ottla.js";

const { v1 } = ottla;
type Request = Omit<ottla.v1.GroupRequest.$Properties, "correlationId">;
type Response = ottla.v1.GroupResponse.$Properties;

const ANSWER_MS = 30_000;
const identity = (bytes: Buffer): Buffer => bytes;

/** One Session stream to one broker. */
export class GroupSession {
  readonly client: Client;
  readonly rebalancing: string[] = [];
  readonly #waiting = new Map<
    number,
    { readonly resolve: (response: Response) => void; readonly reject: (error: Error) => void }
  >();
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;
  #correlationId = 0;

  constructor(port: number) {
    this.client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
    const stream = this.client.makeBidiStreamRequest<Buffer, Buffer>(
      "/ottla.v1.Groups/Session",
      identity,
      identity,
    );
    stream.on("data", (bytes: Buffer) => {
      for (const answer of v1.GroupAnswers.decode(bytes).answers) this.#onData(answer);
    });
    stream.on("error", (error: Error) => this.#onError(error));
    this.#stream = stream;
  }

  /** Rejects if the stream ends, or after 30 s. */
  call(request: Request): Promise<Response> {
    const correlationId = ++this.#correlationId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no answer")), ANSWER_MS);
      const settled = (): void => clearTimeout(timer);
      this.#waiting.set(correlationId, {
        resolve: (response) => {
          settled();
          resolve(response);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      const message = v1.GroupCalls.encode({ calls: [{ ...request, correlationId }] }).finish();
      this.#stream.write(Buffer.from(message));
    });
  }

  close(): void {
    this.client.close();
  }

  #onData(response: Response): void {
    if (response.rebalancing) this.rebalancing.push(response.rebalancing.groupId ?? "");
    const id = response.correlationId ?? 0;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.resolve(response);
  }

  #onError(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** A unary call of the Groups service. */
export function callGroups<Request, Response>(
  client: Client,
  name: string,
  types: {
    readonly request: { encode(message: Request): { finish(): Uint8Array } };
    readonly response: { decode(bytes: Uint8Array): Response };
  },
  request: Request,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest<Buffer, Buffer>(
      `/ottla.v1.Groups/${name}`,
      identity,
      identity,
      Buffer.from(types.request.encode(request).finish()),
      (error, bytes) => {
        if (error === null && bytes !== undefined) resolve(types.response.decode(bytes));
        else reject(error ?? new Error("no answer"));
      },
    );
  });
}
