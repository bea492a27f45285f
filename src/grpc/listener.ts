/** A gRPC server's port: how both of a broker's gRPC servers take and give back theirs. */
import { lookup } from "node:dns/promises";
import { type Server, ServerCredentials } from "@grpc/grpc-js";
import { OttlaError } from "../model/errors.ts";

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** How long streams may take to hear of the end before their connections are cut. */
const CLOSE_GRACE_MS = 200;

/**
 * Binds `server`; returns the port, which is the one chosen if 0 was asked for. "" listens on every
 * interface. Rejects with PORT_IN_USE, or INVALID_CONFIG if the address is none of this machine's.
 */
export async function listenOn(server: Server, { host, port }: HostPort): Promise<number> {
  if (host !== "") return bind(server, { host: await resolved(host), port });
  try {
    return await bind(server, { host: "::", port });
  } catch (thrown) {
    // A machine without IPv6.
    if (thrown instanceof OttlaError && thrown.code === "PORT_IN_USE") throw thrown;
    return bind(server, { host: "0.0.0.0", port });
  }
}

/** One address: of a name with several, grpc-js would be content with any that is still free. */
async function resolved(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (thrown) {
    throw new OttlaError("INVALID_CONFIG", `listeners: the host "${host}" cannot be resolved`, {
      cause: thrown,
      field: "listeners",
    });
  }
}

function bind(server: Server, address: HostPort): Promise<number> {
  const target = formatAddress(address);
  return new Promise((resolve, reject) => {
    server.bindAsync(target, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) {
        resolve(port);
        return;
      }
      const inUse = error.message.includes("EADDRINUSE");
      reject(
        new OttlaError(
          inUse ? "PORT_IN_USE" : "INVALID_CONFIG",
          inUse
            ? `listeners: ${target} is in use by another process`
            : `listeners: cannot listen on ${target}: ${error.message}`,
          { cause: error, field: "listeners" },
        ),
      );
    });
  });
}

/** Settles when the port is free and no connection is left; what still runs is cut off. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.forceShutdown(), CLOSE_GRACE_MS);
    server.tryShutdown(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}

export function formatAddress({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
