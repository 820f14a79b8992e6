// Package limit bounds how many requests a client may make in a window of time.
//
// What a caller may rely on:
//
//   - Never more than [Rule].Limit requests of one client are admitted in any half-open window of [Rule].Window, wherever
//     it begins: not at the borders of clock minutes, not under any number of goroutines. The first Limit requests are
//     always admitted. Two cases bend this, both below: a full table and an outage of the shared storage.
//   - [Decision].RetryAfter is true: a client that waits that long is admitted, provided nobody else spends the same
//     client's budget meanwhile.
//   - A request is charged to all of its rules or to none ([Limiter.Allow]), so a refusal by one rule never eats the
//     budget of another, and refused requests cost no budget at all.
//   - Everything is bounded: clients per rule, bytes per client (about 1.2 KB at worst), the wait for Redis (50 ms).
//
// # The window
//
// Admissions are kept in order in up to 66 buckets per client and rule. A bucket takes admissions for 1/64 of the window from its
// first one and is forgotten one whole window after its last one. Rules of at most 64 requests give each admission a
// bucket of its own and are exact; larger ones hold an admission at most 1/64 of the window (0.94 s of 60 s) too long and
// never too short. Counters with fixed windows admit up to twice the limit around a border, token buckets likewise
// (burst plus refill); both were measured and turned down for it.
//
// # Memory and Redis
//
// [Memory] holds the windows of this process in sharded tables, one per rule. When a table is full of clients whose
// windows still run, a newcomer takes the place of the client with the fewest remembered requests among a small random
// sample, and never the place of one that used more than half its limit. An attacker who wants an own client forgiven
// therefore has to fill the table with clients that each spent more than that one did, and wins at most half a limit.
// If the sample has no such client, newcomers share one budget per shard until places come free. Both are counted
// ([StorageStats].Evicted, Crowded); a table that fills in ordinary operation should be larger. Tables are separate per
// rule, so that a flood of addresses cannot push out users.
//
// [Redis] shares the windows between replicas by one atomic script per request. It runs on the clock of the Redis server:
// with the replicas' own clocks, one that runs ahead would free budget early for all. A replica never depends on Redis: when it
// refuses, hangs past 50 ms or answers an error, that one request and all following ones are decided by the replica's own
// Memory, which has recorded everything this replica admitted; a probe each second finds the way back. During an outage
// each replica admits at most the limit by itself, and for one window afterwards a client must pass the replica's own
// record too, so an outage gives nobody a fresh budget at a replica.
//
// # Clients
//
// [ClientKey] tells whom to charge by address, [UserKey] by user.
package limit
