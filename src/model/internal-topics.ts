/** Topics of the brokers' own. */

/** Keeps groups and their offsets; a group's partition follows from the number of partitions. */
export const OFFSETS_TOPIC = "__consumer_offsets";
