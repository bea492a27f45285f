/** Broker keys of Ottla's own. Columns: see `config-definition.ts`. */
export const BROKER_CONFIGS_OTTLA = `
broker.clock.offset.max.ms | long | 300000 | 0.. | read-only | yes | A broker whose clock is further than this from those of most voters does not start; 0: any clock will do.
broker.session.reconnect.ms | int | 300 | 1.. | read-only | yes | A broker whose session stream breaks and does not come back within this time is fenced at once.
cluster.id | string | ~ | non-empty | read-only | yes | Of the cluster that the broker belongs to: a new one is founded with it, another is refused. Drawn by chance if absent.
controlled.shutdown.max.ms | int | 30000 | 0.. | read-only | yes | Longest time that a stopping broker waits for its leaderships to be handed over.
`;
