import { MediaQuery } from 'svelte/reactivity';

/** Phone-sized: the rail is at the bottom, list and inspector are sheets, rows are cards. */
export const phone = new MediaQuery('max-width: 720px', false);
