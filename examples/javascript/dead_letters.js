#!/usr/bin/env node
// The dead letters: events that failed too often, each with the later events of its aggregate behind it.
//
//   dead_letters.js SUBSCRIPTION                         list them
//   dead_letters.js SUBSCRIPTION replay AGGREGATE        deliver those of an aggregate again, in order
//   dead_letters.js SUBSCRIPTION discard AGGREGATE WHY   give up the one that failed, deliver those behind it
'use strict';
const { Client } = require('pg');

async function list(db, subscription) {
  const { rows } = await db.query(
    `SELECT aggregate_id, aggregate_version, event_type, attempts, replay, reason
       FROM eventstore.parked_events WHERE subscription = $1
      ORDER BY aggregate_id, position`, [subscription]);
  for (const row of rows) console.log(Object.values(row).join(' | '));
}

async function replay(db, subscription, aggregate) {
  const { rows: [{ count }] } = await db.query(
    'SELECT eventstore.replay_parked($1, $2) AS count', [subscription, aggregate]);
  console.log(count, 'to be delivered again');
}

async function discard(db, subscription, aggregate, reason) {
  // a bigint, such as the position, is a string here, and is passed on as it is
  const { rows: [{ failed }] } = await db.query(
    'SELECT min(position) AS failed FROM eventstore.parked_events WHERE subscription = $1 AND aggregate_id = $2',
    [subscription, aggregate]);
  if (failed === null) throw new Error('nothing is parked');
  await db.query('SELECT eventstore.discard_parked($1, $2, $3, $4)', [subscription, aggregate, failed, reason]);
  await replay(db, subscription, aggregate);
}

const commands = { list: [list, 1], replay: [replay, 2], discard: [discard, 3] };

async function main(subscription, command = 'list', ...rest) {
  const [action, count] = commands[command] ?? [];
  if (!subscription || rest.length + 1 !== count) {
    throw new Error('usage: dead_letters.js SUBSCRIPTION [replay AGGREGATE | discard AGGREGATE WHY]');
  }
  const db = new Client();
  await db.connect();
  await db.query('BEGIN');
  await action(db, subscription, ...rest);
  await db.query('COMMIT');
  await db.end();
}
main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
