import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { useSession } from './features/access/session'
import { router } from './router'
import { ApiProblem, whenSignedOut } from './shared/api/client'
import './styles/tokens.css'
import './styles/states.css'
import './styles/base.css'

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1_000,
      refetchOnWindowFocus: true,
      // A refusal stays a refusal; only what may pass by itself is asked again.
      retry: (failures, error) => failures < 2 && (!(error instanceof ApiProblem) || error.status >= 500),
    },
  },
})

const app = createApp(App)
app.use(createPinia())
app.use(router)
app.use(VueQueryPlugin, { queryClient: queries })

whenSignedOut(() => {
  const session = useSession()
  if (!session.me) return
  session.me = null
  queries.clear()
  void router.push({ name: 'login', query: { from: router.currentRoute.value.fullPath } })
})

// After an upgrade the files of an open page are gone: the new page is loaded where the old one stood.
window.addEventListener('vite:preloadError', (event) => {
  event.preventDefault()
  location.reload()
})

void router.isReady().catch(() => undefined)
app.mount('#app')
