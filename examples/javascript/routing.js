// Append to a sliced store without a front in between: find the slot and its server.
//
//     node routing.js STORE AGGREGATE_ID EVENT_TYPE [DATA]
//
// The environment (PGHOST, PGDATABASE ...) names a front, which has the map. See doc/many-servers.md.
'use strict';
const { Client } = require('pg');

const MOVED = ['42P01', '22023']; // the slot is not there, or another number of slots: the map is old

function crc32(text) {
  let crc = ~0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc >>> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// The slot of an aggregate: the first bits of the CRC-32 of its id in UTF-8.
const slotOf = (aggregateId, slots) => Math.floor(crc32(aggregateId) * slots / 2 ** 32);

// The options of pg for a connection string of libpq, such as "host=db1 dbname='shop'".
function options(conninfo) {
  const names = { dbname: 'database' };
  const found = {};
  for (const [, name, quoted, plain] of conninfo.matchAll(/(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))/g)) {
    found[names[name] ?? name] = (quoted ?? plain).replace(/\\(.)/g, '$1');
  }
  return found;
}

async function connect(settings) {
  const client = new Client(settings);
  client.on('error', () => {}); // a lost connection is noticed by the next query
  await client.connect();
  return client;
}

// Connections to the nodes of a sliced store, by the map of a front.
class Router {
  constructor(store, front = {}) {
    Object.assign(this, { store, front, map: null, clients: new Map() });
  }

  async readMap() {
    const front = await connect(this.front);
    const { rows } = await front.query('SELECT slot, conninfo FROM eventstore.slot_map WHERE store = $1', [this.store]);
    await front.end();
    if (!rows.length) throw new Error(`the front has no map of store ${this.store}`);
    this.map = new Map(rows.map(row => [row.slot, row.conninfo]));
  }

  // Run a statement on the slot of an aggregate. If the slot has moved, read the map and repeat.
  async call(sql, aggregateId, args) {
    for (let attempt = 0; ; attempt++) {
      if (!this.map) await this.readMap();
      const conninfo = this.map.get(slotOf(aggregateId, this.map.size));
      if (!this.clients.has(conninfo)) this.clients.set(conninfo, await connect(options(conninfo)));
      try {
        return (await this.clients.get(conninfo).query(sql, args)).rows;
      } catch (error) {
        if (!MOVED.includes(error.code) || attempt === 4) throw error;
        this.map = null;
      }
    }
  }

  async end() {
    for (const client of this.clients.values()) await client.end();
  }
}

async function main([store, aggregateId, eventType, data = '{}']) {
  const router = new Router(store);
  const append = 'SELECT eventstore.append_event($1, $2::jsonb, $3, store => eventstore.slot_store($4, $3)) AS version';
  const rows = await router.call(append, aggregateId, [eventType, data, aggregateId, store]);
  await router.end();
  console.log(`${aggregateId} is at version ${rows[0].version}`);
}

if (require.main === module) main(process.argv.slice(2)).catch(error => { console.error(error.message); process.exit(1); });
module.exports = { Router, slotOf };
