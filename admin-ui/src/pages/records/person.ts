// What the menu of an account offers beside what every record has.
import LogOut from '@lucide/svelte/icons/log-out';
import MailCheck from '@lucide/svelte/icons/mail-check';
import KeyRound from '@lucide/svelte/icons/key-round';
import UserCheck from '@lucide/svelte/icons/user-check';
import { messageOf } from '../../api/errors';
import { endTokens, sendReset, sendVerification } from '../../api/people';
import type { Collection, RecordData } from '../../api/types';
import { grid } from '../../kit/strings-grid';
import { confirm } from '../../state/confirm.svelte';
import { toasts } from '../../state/toast.svelte';
import type { MenuItem } from '../../ui/Menu.svelte';

export function personItems(collection: Collection, record: RecordData, act: () => void): MenuItem[] {
  const t = grid.people;
  const email = String(record.email ?? '');
  const doing = (run: () => Promise<unknown>, done: string) => async () => {
    try {
      await run();
      toasts.ok(done);
    } catch (error) {
      toasts.error(messageOf(error));
    }
  };
  async function end() {
    const sure = await confirm.ask({
      title: t.endTokensTitle,
      text: t.endTokensText,
      yes: t.endTokens,
      danger: true,
    });
    if (sure) await doing(() => endTokens(collection.name, record.id), t.ended)();
  }
  const superusers = collection.name === '_superusers';
  const mails: MenuItem[] = [
    ...(superusers || record.verified === true
      ? []
      : [
          {
            label: t.verify,
            icon: MailCheck,
            run: () => void doing(() => sendVerification(collection.name, email), t.verifySent(email))(),
          },
        ]),
    {
      label: t.reset,
      icon: KeyRound,
      run: () => void doing(() => sendReset(collection.name, email), t.resetSent(email))(),
    },
  ];
  return [
    ...(email === '' ? [] : mails),
    ...(superusers ? [] : [{ label: t.act, icon: UserCheck, run: act }]),
    { label: t.endTokens, icon: LogOut, run: () => void end() },
  ];
}
