#!/usr/bin/env node
// A worker: node worker.js [CONSUMER]. The PG* environment variables name the database.
//
// Workers with different names share the events. After SIGTERM or Ctrl-C a worker ends the event at hand,
// acknowledges what is done, and releases the rest.
'use strict';
const { setTimeout: sleep } = require('timers/promises');
const { DatabaseError, Pool, types } = require('pg');

// pg returns bigint as a string, because a number is exact only below 2^53. Deliveries and positions are below.
types.setTypeParser(types.builtins.INT8, Number);

const SUBSCRIPTION = 'mails';
const WAIT = '5 seconds'; // for which a poll waits for events; a shutdown may take as long
let stopping = false;

// Do the work. An exception says that the event failed.
async function print(event) {
  console.log(event.position, event.aggregate_id, event.event_type);
}

// Return the delivery if all of its events are done.
async function handleBatch(db, events, handle, lease) {
  let leased = Date.now();
  for (const event of events) {
    if (Date.now() - leased > lease / 2) { // a long batch
      await db.query('SELECT eventstore.extend_lease($1, $2)', [SUBSCRIPTION, event.delivery]);
      leased = Date.now();
    }
    try {
      await handle(event);
    } catch (error) { // the events before are done; this one and the rest come again
      console.error(`event ${event.position} failed:`, error);
      await db.query('SELECT eventstore.nack($1, $2, $3, $4)',
        [SUBSCRIPTION, event.delivery, event.position, String(error)]);
      return null;
    }
    if (stopping) {
      await db.query('SELECT eventstore.ack($1, $2, $3)', [SUBSCRIPTION, event.delivery, event.position]);
      return null;
    }
  }
  return events.length > 0 ? events[0].delivery : null;
}

const isConnectionLost = (error) => !(error instanceof DatabaseError) || /^(08|53|57|58)/.test(error.code);

// The lease, in milliseconds, is that of the subscription: more than any event takes.
async function run(consumer, handle, lease = 30000) {
  const db = new Pool({ max: 1 }); // opens a new connection when the last one was lost
  db.on('error', () => {}); // one that was lost between two queries
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => { stopping = true; });
  let delivery = null; // is done; the next poll acknowledges it
  let pause = 500;
  while (!stopping || delivery) {
    try {
      if (stopping) { // the signal came just after the batch
        await db.query('SELECT eventstore.ack($1, $2)', [SUBSCRIPTION, delivery]);
        break;
      }
      const { rows } = await db.query('SELECT * FROM eventstore.poll($1, 10, $2, $3, ack => $4)',
        [SUBSCRIPTION, consumer, WAIT, delivery]);
      delivery = await handleBatch(db, rows, handle, lease);
      pause = 500;
    } catch (error) {
      const lost = error.code === '22V02';
      if (!lost && !isConnectionLost(error)) throw error;
      console.error(`${lost ? 'lease' : 'connection'} lost:`, error.message);
      delivery = null; // the events come again, here or elsewhere
      if (!lost) await sleep(pause);
      pause = Math.min(2 * pause, 5000);
    }
  }
  await db.query('SELECT eventstore.release($1, $2)', [SUBSCRIPTION, consumer]);
  await db.end();
}

module.exports = { run };
if (require.main === module) run(process.argv[2] ?? 'worker-1', print);
