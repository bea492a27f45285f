import {
  type DestinationStream,
  destination,
  type Logger as Pino,
  pino,
  stdTimeFunctions,
} from "pino";
import type { LogFields, Logger } from "../ports/logger.ts";

type LogLevel = "debug" | "info" | "warn" | "error";

export interface PinoLoggerOptions {
  /** Lines below it are dropped. Default "info". */
  readonly level?: LogLevel;
  /** Fields of every line. Default: none. */
  readonly fields?: LogFields;
  /** Where the lines go. Default: the process's standard output. */
  readonly destination?: DestinationStream;
}

/** One JSON object a line: `level`, `time` (ISO 8601, UTC), `message`, then the fields. */
export class PinoLogger implements Logger {
  readonly #pino: Pino;

  private constructor(logger: Pino) {
    this.#pino = logger;
  }

  static create(options: PinoLoggerOptions = {}): PinoLogger {
    return new PinoLogger(
      pino(
        {
          level: options.level ?? "info",
          base: options.fields === undefined ? null : plain(options.fields),
          messageKey: "message",
          timestamp: stdTimeFunctions.isoTime,
          formatters: { level: (label) => ({ level: label }) },
        },
        // Synchronous: the last line before a crash is the one that counts. Lines are rare.
        options.destination ?? destination({ dest: 1, sync: true }),
      ),
    );
  }

  debug(message: string, fields?: LogFields): void {
    if (this.#pino.isLevelEnabled("debug")) this.#pino.debug(plain(fields), message);
  }

  info(message: string, fields?: LogFields): void {
    this.#pino.info(plain(fields), message);
  }

  warn(message: string, fields?: LogFields): void {
    this.#pino.warn(plain(fields), message);
  }

  error(message: string, fields?: LogFields): void {
    this.#pino.error(plain(fields), message);
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#pino.child(plain(fields)));
  }
}

/** JSON shows nothing of an `Error`: its properties are not enumerable. */
function plain(fields: LogFields = {}): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    out[name] = value instanceof Error ? describe(value) : value;
  }
  return out;
}

const CAUSES_DEPTH = 5;

function describe(error: Error, depth = 0): Record<string, unknown> {
  const { code } = error as { readonly code?: unknown };
  const { cause } = error;
  return {
    name: error.name,
    ...(code === undefined ? {} : { code }),
    message: error.message,
    stack: error.stack,
    ...(cause === undefined
      ? {}
      : {
          cause:
            cause instanceof Error && depth < CAUSES_DEPTH
              ? describe(cause, depth + 1)
              : String(cause),
        }),
  };
}
