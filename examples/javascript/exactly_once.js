#!/usr/bin/env node
// A worker that fills a table of the same database, exactly once: node exactly_once.js [CONSUMER].
//
// It polls, writes and acknowledges in one transaction. If that is rolled back, nothing was delivered.
'use strict';
const { setTimeout: sleep } = require('timers/promises');
const { DatabaseError, Pool } = require('pg');

const SUBSCRIPTION = 'activity';
const WAIT = '5 seconds'; // for which a poll waits for events; a shutdown may take as long
let stopping = false;

// Count the events of each aggregate.
async function handle(db, event) {
  await db.query(`INSERT INTO activity VALUES ($1, 1, $2) ON CONFLICT (aggregate_id)
                  DO UPDATE SET events = activity.events + 1, last_event = EXCLUDED.last_event`,
  [event.aggregate_id ?? 'none', event.event_type]);
}

const isConnectionLost = (error) => !(error instanceof DatabaseError) || /^(08|40|53|57|58)/.test(error.code);

async function handleBatch(db, consumer) {
  // positions and deliveries are bigint: pg returns them as strings, which are passed on as they are
  const { rows: events } = await db.query('SELECT * FROM eventstore.poll($1, 100, $2, $3)', [SUBSCRIPTION, consumer, WAIT]);
  for (const event of events) {
    await db.query('SAVEPOINT event');
    try {
      await handle(db, event);
      await db.query('RELEASE event');
    } catch (error) { // an event that fails leaves nothing behind; those before are done, and their effects stay
      if (isConnectionLost(error)) throw error;
      console.error(`event ${event.position} failed:`, error);
      await db.query('ROLLBACK TO event');
      await db.query('SELECT eventstore.nack($1, $2, $3, $4)',
        [SUBSCRIPTION, event.delivery, event.position, String(error)]);
      return;
    }
  }
  if (events.length > 0) await db.query('SELECT eventstore.ack($1, $2)', [SUBSCRIPTION, events[0].delivery]);
}

async function inTransaction(pool, work) {
  const db = await pool.connect();
  let failure;
  try {
    await db.query('BEGIN');
    await work(db);
    await db.query('COMMIT');
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    db.release(failure); // after an error the connection is closed, which rolls back
  }
}

async function run(consumer) {
  const pool = new Pool({ max: 1 }); // opens a new connection when the last one was lost
  pool.on('error', () => {}); // one that was lost between two transactions
  pool.on('connect', (db) => db.on('error', () => {})); // or in one, whose query fails
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => { stopping = true; });
  let pause = 500;
  while (!stopping) {
    try {
      await inTransaction(pool, (db) => handleBatch(db, consumer));
      pause = 500;
    } catch (error) {
      if (!isConnectionLost(error)) throw error;
      console.error('connection lost:', error.message);
      await sleep(pause);
      pause = Math.min(2 * pause, 5000);
    }
  }
  await pool.query('SELECT eventstore.release($1, $2)', [SUBSCRIPTION, consumer]);
  await pool.end();
}
run(process.argv[2] ?? 'worker-1');
