// Prints the SQL that creates Emmett's tables and functions. It connects to nothing.
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';

const store = getPostgreSQLEventStore('postgresql://');
console.log(store.schema.sql());
await store.close();
