import { fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import BackupsTab from '../../src/pages/ops/BackupsTab.svelte';
import JobsTab from '../../src/pages/ops/JobsTab.svelte';
import RestoreWait from '../../src/pages/ops/RestoreWait.svelte';
import ScheduleForm from '../../src/pages/ops/ScheduleForm.svelte';

interface Call {
  method: string;
  path: string;
  body: unknown;
}
let calls: Call[] = [];
let answers: Record<string, [number, unknown]> = {};
beforeEach(() => {
  calls = [];
  answers = { 'GET /api/settings': [200, { backups: { cron: '0 3 * * *', cronMaxKeep: 3 } }] };
  vi.stubGlobal(
    'fetch',
    vi.fn((url: string, init: RequestInit) => {
      const path = new URL(url, 'http://x').pathname;
      const method = init.method ?? 'GET';
      calls.push({ method, path, body: init.body ? JSON.parse(String(init.body)) : undefined });
      const [status, body] = answers[`${method} ${path}`] ?? [404, { message: 'Not here.' }];
      // The server answers 204 without a body.
      return Promise.resolve(
        new Response(status === 204 ? null : JSON.stringify(body), { status: status as number }),
      );
    }),
  );
});
afterEach(() => void vi.unstubAllGlobals());

test('backups: empty, refused name at its field, busy as a message', async () => {
  answers['GET /api/backups'] = [200, []];
  render(BackupsTab);
  await screen.findByText('No backups yet');
  answers['POST /api/backups'] = [
    400,
    { message: 'Invalid.', data: { name: { code: 'x', message: 'Must be in a valid format.' } } },
  ];
  await fireEvent.input(screen.getByLabelText('Name'), { target: { value: 'Bad' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Create backup' }));
  await screen.findByText('Must be in a valid format.');
  expect(screen.getByLabelText('Name').getAttribute('aria-invalid')).toBe('true');

  answers['POST /api/backups'] = [400, { message: 'Try again later.', data: {} }];
  await fireEvent.click(screen.getByRole('button', { name: 'Create backup' }));
  expect((await screen.findByRole('alert')).textContent).toContain('Try again later.');
  expect((screen.getByLabelText('Name') as HTMLInputElement).value).toBe('Bad');
});

test('backups: newest first, and a failed list can be asked for again', async () => {
  answers['GET /api/backups'] = [500, { message: 'Disk is gone.' }];
  render(BackupsTab);
  await screen.findByText('Disk is gone.');
  answers['GET /api/backups'] = [
    200,
    [
      { key: 'a.zip', size: 2048, modified: '2026-01-01 00:00:00.000Z' },
      { key: '@auto_pb_backup_b.zip', size: 1, modified: '2026-02-01 00:00:00.000Z' },
    ],
  ];
  await fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
  await screen.findByText('2 KB');
  expect(screen.getAllByRole('row')[1]!.textContent).toMatch(/@auto_pb_backup_b\.zip\s*automatic/);
});

test('the schedule sends only what was touched and shows errors at the fields', async () => {
  answers['PATCH /api/settings'] = [
    400,
    { message: 'No.', data: { backups: { cron: { code: 'x', message: 'Invalid cron expression.' } } } },
  ];
  render(ScheduleForm);
  const cron = await screen.findByLabelText('When');
  const save = screen.getByRole('button', { name: 'Save schedule' });
  expect((save as HTMLButtonElement).disabled).toBe(true);
  await fireEvent.input(cron, { target: { value: 'x y' } });
  await fireEvent.click(save);
  await screen.findByText('Invalid cron expression.');
  expect(calls.at(-1)!.body).toEqual({ backups: { cron: 'x y' } });
  await fireEvent.click(screen.getByRole('switch'));
  await fireEvent.click(save);
  expect(calls.at(-1)!.body).toEqual({ backups: { cron: '' } });
});

test('after a restore the page begins anew once the server is at rest', async () => {
  const reload = vi.fn();
  answers['GET /api/health'] = [200, { data: { canBackup: false } }];
  render(RestoreWait, { name: 'a.zip', reload });
  await vi.waitFor(() => expect(calls.length).toBeGreaterThan(0));
  expect(reload).not.toHaveBeenCalled();
  answers['GET /api/health'] = [200, { data: { canBackup: true } }];
  await vi.waitFor(() => expect(reload).toHaveBeenCalledOnce(), 3000);
});

test('jobs: run one now', async () => {
  answers['GET /api/crons'] = [200, [{ id: '__pbLogsCleanup__', expression: '0 */6 * * *' }]];
  answers['POST /api/crons/__pbLogsCleanup__'] = [204, null];
  render(JobsTab);
  await fireEvent.click(await screen.findByRole('button', { name: 'Run now: __pbLogsCleanup__' }));
  expect(calls.at(-1)).toMatchObject({ method: 'POST', path: '/api/crons/__pbLogsCleanup__' });
});
