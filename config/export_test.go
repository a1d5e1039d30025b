package config

// ObjectNames returns kind and name of each object of the service's namespace that is compared with the others.
func (s *Stack) ObjectNames() []string {
	var names []string
	for _, o := range s.objects() {
		names = append(names, o.kind+" "+o.name)
	}
	return names
}
