// Lays the German sentences over the English ones. Loaded only by those who chose German.
import { text } from '../strings';
import { account } from '../strings-account';
import { authOptions } from '../strings-auth';
import { grid } from '../strings-grid';
import { ops } from '../strings-ops';
import { logsRoom, metricsRoom, sqlRoom } from '../strings-rooms';
import { schemaRoom } from '../strings-schema';
import { settingsRoom } from '../strings-settings';
import { transfer } from '../strings-transfer';
import { de } from './de';
import { deAccount } from './de-account';
import { deData } from './de-data';
import { deRooms } from './de-rooms';
import { lay } from './lay';

export const english = {
  text,
  account,
  authOptions,
  grid,
  ops,
  schemaRoom,
  logsRoom,
  metricsRoom,
  sqlRoom,
  settingsRoom,
  transfer,
};
export const german = { ...de, ...deAccount, ...deData, ...deRooms };
export const speakGerman = () => lay(english, german);
