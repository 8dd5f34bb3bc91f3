/*
 * lock_tag.h
 *		The classes of the extension's own advisory locks: field4 of their tags.  No SQL
 *		function acquires locks of these classes.
 */
#ifndef PGES_LOCK_TAG_H
#define PGES_LOCK_TAG_H

#define PGES_LOCK_GUARD		0x4553
#define PGES_LOCK_AGGREGATE	0x4556
#define PGES_LOCK_CREATE	0x4543
#define PGES_LOCK_NOTIFIER	0x454E
#define PGES_LOCK_WATERMARK	0x4557
#define PGES_LOCK_ARCHIVE	0x4541

#endif							/* PGES_LOCK_TAG_H */
