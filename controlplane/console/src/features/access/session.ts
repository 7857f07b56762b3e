/** Who is signed in, and where they may go. */
import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { api, ApiProblem, read } from '@/shared/api/client'
import type { Me } from '@/shared/api/types'

const LAST_TENANT = 'headrace.tenant'

export const useSession = defineStore('session', () => {
  const me = ref<Me | null>(null)
  const setUp = ref<boolean | null>(null)

  const tenants = computed(() => me.value?.tenants ?? [])
  const name = computed(() => me.value?.profile?.username ?? me.value?.profile?.email ?? '')

  /** The tenant to open when the address names none. */
  const homeTenant = computed(() => {
    const last = localStorage.getItem(LAST_TENANT)
    return tenants.value.find((tenant) => tenant.id === last)?.id ?? tenants.value[0]?.id ?? null
  })

  function remember(tenant: string): void {
    localStorage.setItem(LAST_TENANT, tenant)
  }

  /** Asks the server who is signed in; null when nobody is. Raises ApiProblem when it cannot be asked. */
  async function load(): Promise<Me | null> {
    try {
      me.value = await read(api.GET('/api/v1/me'))
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.status !== 401) throw error
      me.value = null
    }
    return me.value
  }

  /** Whether a first user exists. */
  async function isSetUp(): Promise<boolean> {
    if (setUp.value !== true) setUp.value = (await read(api.GET('/api/v1/setup'))).done
    return setUp.value
  }

  async function signIn(username: string, password: string): Promise<void> {
    await read(api.POST('/api/v1/login', { body: { username, password } }))
    await load()
  }

  async function setup(username: string, password: string, tenant: { id: string; name: string }): Promise<void> {
    await read(api.POST('/api/v1/setup', { body: { username, password, tenant } }))
    setUp.value = true
    await signIn(username, password)
  }

  async function signOut(): Promise<void> {
    await read(api.POST('/api/v1/logout'))
    me.value = null
  }

  return { me, tenants, name, homeTenant, remember, load, isSetUp, signIn, signOut, setup }
})
