import { deleteCollection, truncateCollection } from '../../api/collections';
import { messageOf } from '../../api/errors';
import type { Collection } from '../../api/types';
import { text } from '../../kit/strings';
import { collections } from '../../state/collections.svelte';
import { confirm } from '../../state/confirm.svelte';
import { prefs } from '../../state/prefs.svelte';
import { route } from '../../state/route.svelte';
import { toasts } from '../../state/toast.svelte';

const t = text.schema;
const typed = (name: string) => ({ label: t.typeName(name), value: name });

export async function removeCollection(collection: Collection) {
  const { name } = collection;
  if (
    !(await confirm.ask({
      title: t.deleteTitle(name),
      text: t.deleteText,
      yes: t.delete,
      danger: true,
      typed: typed(name),
    }))
  )
    return;
  try {
    await deleteCollection(collection.id);
    collections.removed(collection.id);
    prefs.set({ lastCollection: '' });
    toasts.ok(t.deleted(name));
    await route.go(['data'], {}, true);
  } catch (error) {
    toasts.error(messageOf(error));
  }
}

export async function emptyCollection(collection: Collection) {
  const { name } = collection;
  if (
    !(await confirm.ask({
      title: t.truncateTitle(name),
      text: t.truncateText,
      yes: t.truncate,
      danger: true,
      typed: typed(name),
    }))
  )
    return;
  try {
    await truncateCollection(collection.id);
    toasts.ok(t.truncated(name));
  } catch (error) {
    toasts.error(messageOf(error));
  }
}
