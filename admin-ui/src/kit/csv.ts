/** A cell of a CSV file. What a spreadsheet would run as a formula is kept from it by a quote in front. */
const cell = (value: string | null) => {
  const text =
    value === null ? '' : /^[=+\-@\t\r]/.test(value) && !/^-?\d+(\.\d+)?$/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
export const toCsv = (head: string[], rows: (string | null)[][]) =>
  [head, ...rows].map((row) => row.map(cell).join(',')).join('\r\n');
