# frozen_string_literal: true

# What the configuration wants of the system.
if platform_family?('rhel', 'fedora', 'amazon')
  package 'epel-release' if CycleCloudConfiguration.true?(node.read('cyclecloud', 'install_epel'))

  policy = node.read('cyclecloud', 'selinux', 'policy').to_s
  selinux_state(policy) { action policy.to_sym } if %w[enforcing permissive disabled].include?(policy)
end
