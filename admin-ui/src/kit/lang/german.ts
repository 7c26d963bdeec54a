// Lays the German sentences over the English ones. Loaded only by those who chose German.
import { text } from '../strings';
import { authOptions } from '../strings-auth';
import { ops } from '../strings-ops';
import { logsRoom, metricsRoom, sqlRoom } from '../strings-rooms';
import { schemaRoom } from '../strings-schema';
import { settingsRoom } from '../strings-settings';
import { de } from './de';
import { deRooms } from './de-rooms';
import { lay } from './lay';

export const english = { text, authOptions, ops, schemaRoom, logsRoom, metricsRoom, sqlRoom, settingsRoom };
export const german = { ...de, ...deRooms };
export const speakGerman = () => lay(english, german);
