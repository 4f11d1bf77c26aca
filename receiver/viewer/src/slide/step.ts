/** Panes in step: equal µm, not equal pixels; each with its own shift and turn. */

/** Where a pane looks: centre in µm from its slide's upper left corner, µm per device pixel, degrees. */
export interface Pose {
  readonly x: number;
  readonly y: number;
  readonly um: number;
  readonly turn: number;
}

/** Two places that belong together: what is at `lead` in the one is at `follow` in the other. */
export interface Pair {
  readonly lead: Pose;
  readonly follow: Pose;
}

/** Before anybody has set an offset: the same place on the glass. */
export const TOGETHER: Pair = {
  lead: { x: 0, y: 0, um: 1, turn: 0 },
  follow: { x: 0, y: 0, um: 1, turn: 0 },
};

function turned(x: number, y: number, degrees: number): [number, number] {
  const angle = (degrees * Math.PI) / 180;
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [c * x - s * y, s * x + c * y];
}

/** Where the following pane looks when the leading one looks at `lead`. */
export function follow(pair: Pair, lead: Pose): Pose {
  // on the screen both move alike, so the slides are turned against one another by this
  const off = pair.lead.turn - pair.follow.turn;
  const [dx, dy] = turned(lead.x - pair.lead.x, lead.y - pair.lead.y, off);
  return { x: pair.follow.x + dx, y: pair.follow.y + dy, um: lead.um, turn: lead.turn - off };
}

/** The same pair seen from the other side. */
export const reversed = ({ lead, follow: other }: Pair): Pair => ({ lead: other, follow: lead });
