/**
 * Threads of libuv's pool in a broker. LevelDB's writes wait there for the disk; with the default
 * of four, four partitions that sync at once would hold up every read and every open.
 */
export const THREAD_POOL_SIZE = "8";
