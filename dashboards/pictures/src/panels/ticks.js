// Marks of an axis: round numbers and round times.
import { dateTimeFormat } from '@grafana/data';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 30, 90, 365].map((n) => n * DAY),
];

export function timeTicks(from, to, most, timeZone) {
  const step = TIME_STEPS.find((one) => (to - from) / one <= most) ?? TIME_STEPS.at(-1);
  const format = step >= DAY ? 'MM-DD' : step >= MINUTE ? 'HH:mm' : step >= SECOND ? 'HH:mm:ss' : 'HH:mm:ss.SSS';
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    ticks.push({ at, text: dateTimeFormat(at, { timeZone, format }) });
  }
  return ticks;
}

export function numberTicks(least, greatest, most) {
  const rough = (greatest - least) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const ticks = [];
  for (let i = Math.ceil(least / step); i * step <= greatest + step / 1e6; i++) {
    ticks.push(i * step);
  }
  return ticks;
}
