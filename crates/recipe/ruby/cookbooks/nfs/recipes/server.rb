# frozen_string_literal: true

debian = platform_family?('debian')
package debian ? 'nfs-kernel-server' : 'nfs-utils'
service(debian ? 'nfs-kernel-server' : 'nfs-server') { action %i[enable start] }
