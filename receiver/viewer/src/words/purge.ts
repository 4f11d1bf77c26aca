/** Words of a purge that is to come, and of what keeps a study from it. */

export const PURGE_WORDS = {
  "purge.soon": ["{d}以降に消去されます。原本は依頼側です", "Will be purged from {d} on. The original is at the sender"],
  "purge.hold": ["延長", "hold"],
  "purge.title": ["消去の延長", "Hold from being purged"],
  "purge.why": [
    "解除されるまで消去されません。解除は管理者が行います",
    "It is not purged until the administrator releases it",
  ],
  "purge.reason": ["延長の理由", "Reason of the hold"],
  "purge.held": ["{p} が消去を保留中です ({d}から、解除まで)", "{p} holds it from being purged, since {d}, until released"],
} as const satisfies Record<string, readonly [string, string]>;
