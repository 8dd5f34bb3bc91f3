#!/usr/bin/env node
// An order service whose read models the server keeps up to date, by projections (see ../orders.sql):
//
// node orders.js place ORDER TOTAL      places an order, and shows it in the read model
// node orders.js pay ORDER              pays an order, and shows it
// node orders.js register USER EMAIL    registers a user, unless another one has the address
// node orders.js rebuild                handles all events again, after list_order() was replaced
'use strict';
const { Client } = require('pg');

// An error that is told to the user in one line.
class Refused extends Error {}

// Append an event to an order that is at a version; return its position, as a string, as pg returns bigint.
async function append(db, order, version, eventType, data) {
  const event = { event_type: eventType, aggregate_type: 'Order', aggregate_id: order, data };
  const { rows } = await db.query("SELECT position FROM eventstore.append($1, expected_versions => $2, store => 'example.orders')",
    [JSON.stringify([event]), JSON.stringify({ [order]: version })]);
  return rows[0].position;
}

// Read an order from the read model, when that has handled the event at the position.
async function show(db, order, position) {
  const waited = await db.query("SELECT eventstore.wait_for_projection('example.order_list', $1, '5 seconds') AS reached", [position]);
  if (waited.rows[0].reached === null) console.error('the list of orders may be old');
  const { state, total } = (await db.query('SELECT state, total FROM example.order_list WHERE order_id = $1', [order])).rows[0];
  console.log(`${order}: ${state}, ${total}`);
}

async function place(db, order, total) {
  let position;
  try {
    position = await append(db, order, 0, 'order_placed', { total: Number(total) });
  } catch (error) {
    if (error.code !== '40V01') throw error;
    throw new Refused(`${order} was placed before`);
  }
  await show(db, order, position);
}

async function pay(db, order) {
  const { version } = (await db.query("SELECT eventstore.get_aggregate_version($1, 'example.orders') AS version", [order])).rows[0];
  if (version === 0) throw new Refused(`there is no order ${order}`);
  await show(db, order, await append(db, order, version, 'order_paid', {}));
}

async function register(db, user, email) {
  try {
    await db.query(`SELECT eventstore.append_event('user_registered', $1, $2, expected_version => 0, aggregate_type => 'User',
                                                   store => 'example.users')`, [JSON.stringify({ email }), user]);
  } catch (error) {
    if (error.code !== '23505' || error.constraint !== 'emails_pkey') throw error;
    throw new Refused(`${email} is taken`); // the event was not stored
  }
  console.log(`${user} is registered`);
}

async function rebuild(db) {
  const { name } = (await db.query("SELECT eventstore.rebuild_projection('example.order_list') AS name")).rows[0];
  // meanwhile, readers see the old rows
  while ((await db.query('SELECT eventstore.wait_for_projection($1) AS reached', [name])).rows[0].reached === null) {
    const { rows } = await db.query('SELECT lag FROM eventstore.projections WHERE name = $1', [name]);
    console.error(`${rows[0]?.lag ?? 0} events to go`);
  }
  console.log('order_list is rebuilt');
}

async function main(command, ...words) {
  const commands = { place, pay, register, rebuild };
  if (!Object.hasOwn(commands, command ?? '')) throw new Refused('node orders.js place | pay | register | rebuild ...');
  const db = new Client();
  await db.connect();
  try {
    await commands[command](db, ...words);
  } finally {
    await db.end();
  }
}
main(...process.argv.slice(2)).catch((error) => {
  console.error(error instanceof Refused ? error.message : error);
  process.exitCode = 1;
});
