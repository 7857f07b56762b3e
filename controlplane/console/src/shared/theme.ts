/** Light, dark, or what the system says. Kept on this device; `public/theme.js` applies it before the first paint. */
import { ref } from 'vue'

export type ThemeChoice = 'system' | 'light' | 'dark'

const KEY = 'headrace.theme'

function stored(): ThemeChoice {
  const value = localStorage.getItem(KEY)
  return value === 'light' || value === 'dark' ? value : 'system'
}

export const theme = ref<ThemeChoice>(stored())

export function chooseTheme(choice: ThemeChoice): void {
  theme.value = choice
  if (choice === 'system') {
    localStorage.removeItem(KEY)
    delete document.documentElement.dataset.theme
  } else {
    localStorage.setItem(KEY, choice)
    document.documentElement.dataset.theme = choice
  }
}
