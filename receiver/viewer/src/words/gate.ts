/** Words of what a person may see, and of signing in through the hospital's own service. */

export const GATE_WORDS = {
  "people.institutions": ["見られる依頼元", "Institutions"],
  "people.every": ["全ての依頼元", "Every institution"],
  "people.limit": [
    "{n} に見せる検査の依頼元を選びます。変えると、この利用者はサインインし直しになります",
    "Choose whose studies {n} may see. A change ends this person's sessions",
  ],
  "people.gone": ["(いまは相手でない施設)", "(no partner any more)"],
  "people.keep": ["決める", "Keep"],
  "auth.service": ["{s}でサインイン", "Sign in with {s}"],
  "auth.leaving": ["サインアウトしています", "Signing out"],
  "lock.service": ["{s}で解除する (別の窓)", "Unlock with {s} (other window)"],
  "lock.opened": ["解除しました。この窓を閉じてください", "Unlocked. Close this window"],
} as const;
