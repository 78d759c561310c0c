// How much of a text fits.
import { measureText } from '@grafana/ui';

export const widthOf = (text, size) => measureText(text, size).width;

/** The text, or its beginning and three dots where it would be wider than `room` pixels. */
export function fitted(text, size, room) {
  if (widthOf(text, size) <= room) {
    return text;
  }
  let length = Math.floor((text.length * room) / widthOf(text, size));
  while (length > 0 && widthOf(`${text.slice(0, length)}…`, size) > room) {
    length -= 1;
  }
  return length > 0 ? `${text.slice(0, length)}…` : '';
}
