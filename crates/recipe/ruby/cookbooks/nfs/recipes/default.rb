# frozen_string_literal: true

package platform_family?('debian') ? 'nfs-common' : 'nfs-utils'
