# frozen_string_literal: true

Chef::Log.warn('samba::server does nothing here: export with `cyclecloud.exports` over NFS')
